"""Flow: OpenCV's against known motion, files, functions, and what is no flow."""

import numpy as np
import pytest
from helpers.films import pan

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.video import flow
from jaxstyle.video.flow import Still, dis_flow, file_flow, function_flow, read_flow, write_flow

RNG = np.random.default_rng(0)
FLOW = RNG.normal(size=(6, 8, 2)).astype(np.float32)


def stills(count, shape=(6, 8)):
    return [Still(number, np.zeros((*shape, 3), np.float32)) for number in range(1, count + 1)]


def test_dense_inverse_search_finds_a_pan():
    pytest.importorskip("cv2")
    first, second = (Still(i, image) for i, image in enumerate(pan(2, step=2, shape=(64, 64)), 1))
    found = dis_flow()(first, second)
    assert found.shape == (64, 64, 2)
    inside = found[8:-8, 8:-8]
    assert np.abs(inside - np.array([2.0, 0.0])).mean() < 0.15
    assert np.abs(dis_flow()(second, first)[8:-8, 8:-8] + np.array([2.0, 0.0])).mean() < 0.15


def test_without_opencv_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(flow.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs OpenCV; pip install 'jaxstyle\[video\]'"):
        dis_flow()


def test_a_function_of_two_pictures():
    source = function_flow(lambda first, second: FLOW * (first.mean() + 1))
    assert source(*stills(2)).dtype == np.float32
    with pytest.raises(ValueError, match=r"should return \[6, 8, 2\], got \[5, 8, 2\]"):
        function_flow(lambda first, second: FLOW[:5])(*stills(2))


def test_a_folder_of_files_by_their_numbers(tmp_path):
    write_flow(tmp_path / "forward_1_2.flo", FLOW)
    np.savez(tmp_path / "back-0002-0001.npz", flow=-FLOW)
    (tmp_path / "notes.txt").touch()
    source, (first, second, third) = file_flow(tmp_path), stills(3)
    np.testing.assert_array_equal(source(first, second), FLOW)
    np.testing.assert_array_equal(source(second, first), -FLOW)
    with pytest.raises(UsageError, match=r"has no flow from frame 2 to 3; add it$"):
        source(second, third)
    with pytest.raises(UsageError, match=r"from frame 1 to 3; add it, or compare.*long-term 1"):
        source(first, third)


def test_one_file_for_a_film(tmp_path):
    both = RNG.normal(size=(2, 3, 6, 8, 2)).astype(np.float32)
    np.savez(tmp_path / "flow.npz", forward=both[0], backward=both[1])
    source, frames = file_flow(tmp_path / "flow.npz"), stills(5)
    np.testing.assert_array_equal(source(frames[2], frames[3]), both[0][2])
    np.testing.assert_array_equal(source(frames[1], frames[0]), both[1][0])
    with pytest.raises(UsageError, match="from frame 4 to 5"):
        source(frames[3], frames[4])


def test_flow_of_another_size_is_resized_and_so_are_its_lengths(tmp_path):
    write_flow(tmp_path / "f_1_2.flo", np.ones((12, 16, 2), np.float32))
    found = file_flow(tmp_path)(*stills(2))
    assert found.shape == (6, 8, 2)
    np.testing.assert_allclose(found, 0.5, atol=1e-6)


def test_what_was_written_is_read_back(tmp_path):
    write_flow(tmp_path / "a.flo", FLOW)
    np.testing.assert_array_equal(read_flow(tmp_path / "a.flo"), FLOW)


def damaged_files(tmp_path):
    write_flow(tmp_path / "a.flo", FLOW)
    whole = (tmp_path / "a.flo").read_bytes()
    np.savez(tmp_path / "other.npz", flow=np.arange(5))
    return {
        "short.flo": whole[:-3],
        "empty.flo": b"",
        "huge.flo": whole[:4] + b"\xff\xff\xff\x7f" * 2 + whole[12:],
        "negative.flo": whole[:4] + b"\xff\xff\xff\xff" * 2 + whole[12:],
        "text.flo": b"hello, this is text",
        "text.npz": b"PK hello",
        "vector.npz": (tmp_path / "other.npz").read_bytes(),
    }


@pytest.mark.parametrize(
    "name",
    ["short.flo", "empty.flo", "huge.flo", "negative.flo", "text.flo", "text.npz", "vector.npz"],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(damaged_files(tmp_path)[name])
    with pytest.raises(FileFormatError) as caught:
        read_flow(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_places_without_flow(tmp_path):
    with pytest.raises(FileFormatError, match="has no flow in it; name the files like forward_1_2"):
        file_flow(tmp_path)
    with pytest.raises(FileNotFoundError):
        file_flow(tmp_path / "none.npz")
    np.savez(tmp_path / "half.npz", forward=np.zeros((1, 2, 2, 2), np.float32))
    with pytest.raises(FileFormatError, match="should hold arrays forward and backward"):
        file_flow(tmp_path / "half.npz")
