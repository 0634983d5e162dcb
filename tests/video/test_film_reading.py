"""Films are read as they are shown, one frame after another; what is none is refused in a line."""

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from helpers.films import bytes_of, pan, write_clip
from PIL import Image

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.image.io.encodings import settle
from jaxstyle.image.io.reading import load_picture
from jaxstyle.video import decoding
from jaxstyle.video.reading import Span, ahead, open_clip, read_frames
from jaxstyle.video.upright import _turned, upright

pytest.importorskip("av")

FRAMES = pan(5, shape=(32, 40))
BYTES = bytes_of(FRAMES)
WHOLE = Span()


def images(path, span=WHOLE):
    return [frame.image for frame in read_frames(open_clip(path), span)]


def times(path, span=WHOLE):
    return [float(frame.time) for frame in read_frames(open_clip(path), span)]


@pytest.mark.parametrize("name", ["film.mp4", "film.mov", "film.mkv"])
def test_a_film_comes_back(tmp_path, name):
    path = write_clip(tmp_path / name, FRAMES)
    clip = open_clip(path)
    assert (clip.count, clip.shape, clip.has_sound) == (5, (32, 40), False)
    assert float(clip.rate) == pytest.approx(10, rel=0.02)
    assert float(clip.duration) == pytest.approx(0.5, abs=0.02)
    found = images(path)
    assert times(path) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-3)
    assert np.abs(np.array(found, int) - BYTES).max() <= 4


def test_webm(tmp_path):
    path = write_clip(tmp_path / "film.webm", FRAMES, codec="libvpx-vp9", pixels="yuv420p")
    assert open_clip(path).count == 5
    assert np.abs(np.array(images(path), int) - BYTES).mean() < 12


@pytest.mark.parametrize("space", [1, 5])
def test_colours_are_those_that_the_file_says(tmp_path, space):
    red = [np.broadcast_to(np.float32([0.9, 0.2, 0.1]), (16, 16, 3))] * 2
    path = write_clip(tmp_path / "film.mp4", red, space=space)
    np.testing.assert_allclose(images(path)[0][8, 8], [230, 51, 26], atol=3)


def test_times_that_are_not_even(tmp_path):
    uneven = [0, 0.1, 0.5, 0.6, 1.2]
    path = write_clip(tmp_path / "film.mkv", FRAMES, times=uneven)
    assert times(path) == pytest.approx(uneven, abs=1e-3)
    assert times(path, Span(rate=Fraction(4))) == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 1.25])
    shown = images(path, Span(rate=Fraction(4)))
    for image, number in zip(shown, [0, 1, 2, 3, 3, 4], strict=True):
        assert np.abs(image.astype(int) - BYTES[number]).max() <= 4


def test_a_film_that_lies_on_its_side_is_turned(tmp_path):
    path = write_clip(tmp_path / "film.mp4", FRAMES, rotation=90)
    assert open_clip(path).shape == (40, 32)
    turned = np.rot90(BYTES[0])
    assert np.abs(images(path)[0].astype(int) - turned).max() <= 4


@pytest.mark.parametrize(
    ("turns", "mirrored"), [(0, True), (1, False), (1, True), (2, False), (2, True), (3, True)]
)
def test_all_that_a_display_matrix_says(turns, mirrored):
    """(1, 0) is to the right, (0, 1) down; a turn takes right to up."""
    pixels = BYTES[0]
    right, down = [((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0))][
        turns
    ]
    wanted = np.rot90(pixels, turns)
    if mirrored:  # after the turn
        right, down, wanted = (-right[0], right[1]), (-down[0], down[1]), wanted[:, ::-1]
    entries = np.array([*right, 0, *down, 0, 0, 0, 2**14], np.int32) * 2**16

    class Frame:
        side_data = {"DISPLAYMATRIX": entries.tobytes()}  # noqa: RUF012

    np.testing.assert_array_equal(_turned(pixels, Frame()), wanted)


def test_pixels_that_are_not_square(tmp_path):
    path = write_clip(tmp_path / "film.mp4", FRAMES, aspect=Fraction(8, 5))
    assert open_clip(path).shape == (32, 64)
    wide = np.asarray(Image.fromarray(BYTES[0]).resize((64, 32), Image.Resampling.BICUBIC))
    assert np.abs(images(path)[0].astype(int) - wide).mean() < 2


def test_what_is_transparent_is_white(tmp_path):
    clear = [np.concatenate([f, np.ones((32, 40, 1))], -1) for f in FRAMES]
    for frame in clear:
        frame[:, 20:, 3] = 0
    for name, codec, pixels in (
        ("film.mov", "png", "rgba"), ("film.webm", "libvpx-vp9", "yuva420p"),
    ):  # fmt: skip
        path = write_clip(tmp_path / name, clear, codec=codec, pixels=pixels)
        found = images(path)[1].astype(int)
        assert found[:, 22:].min() > 250
        assert np.abs(found[:, :18] - BYTES[1][:, :18]).mean() < 12


@pytest.mark.parametrize(
    ("transfer", "numbers"),
    [
        (16, [0.58, 0.58, 0.58]),  # PQ of 203 cd/m², which is white there
        (18, [0.75, 0.75, 0.75]),  # HLG of the same
        (16, [0.40, 0.58, 0.50]),
    ],
)
def test_high_dynamic_range_is_shown_as_in_pictures(tmp_path, transfer, numbers):
    frames = [np.broadcast_to(np.float32(numbers), (32, 32, 3))] * 2
    path = write_clip(
        tmp_path / "film.mp4", frames, codec="libx264", colours=(9, transfer, 1), pixels="yuv444p"
    )
    _, to_srgb = settle({b"cICP": bytes([9, transfer, 0, 1])}, None, grey=False)
    wanted = 255 * to_srgb(np.float32([[numbers]])).clip(0, 1)[0, 0]
    np.testing.assert_allclose(images(path)[0][16, 16], wanted, atol=5)


def test_wide_colours_are_not_washed_out(tmp_path):
    red = [np.broadcast_to(np.float32([0.9, 0.1, 0.1]), (32, 32, 3))] * 2
    path = write_clip(tmp_path / "film.mp4", red, colours=(12, 13, 1))  # Display P3
    shown = images(path)[0][16, 16]
    assert shown[0] > 240
    assert shown[1] < 10


def test_odd_sizes(tmp_path):
    odd = [frame[:31, :39] for frame in FRAMES]
    path = write_clip(tmp_path / "film.mkv", odd)
    assert images(path)[0].shape == (31, 39, 3)


def test_a_part_of_a_film(tmp_path):
    path = write_clip(tmp_path / "film.mp4", FRAMES)
    span = Span(Fraction(1, 10), Fraction(3, 10))
    assert times(path, span) == pytest.approx([0, 0.1])
    assert span.count(open_clip(path)) == 2
    assert np.abs(images(path, span)[0].astype(int) - BYTES[1]).max() <= 4
    with pytest.raises(UsageError, match=r"has no frame in this part; it lasts 0\.50 seconds"):
        images(path, Span(start=Fraction(9)))


def test_what_is_left_out_is_not_decoded(tmp_path, monkeypatch):
    frames = pan(30, shape=(32, 40))
    path = write_clip(tmp_path / "film.mp4", frames, keys=5)
    whole, seen = images(path), []

    def counted(*arguments):
        seen.append(1)
        return upright(*arguments)

    clip = open_clip(path)
    monkeypatch.setattr(decoding, "upright", counted)
    found = list(read_frames(clip, Span(Fraction(17, 10), Fraction(2))))
    assert [float(frame.time) for frame in found] == pytest.approx([0, 0.1, 0.2], abs=1e-3)
    np.testing.assert_array_equal([frame.image for frame in found], whole[17:20])
    assert len(seen) <= 5
    seen.clear()
    between = list(read_frames(clip, Span(Fraction(175, 100), Fraction(2), rate=Fraction(20))))
    np.testing.assert_array_equal(
        [frame.image for frame in between], [whole[i] for i in (17, 18, 18, 19, 19)]
    )
    assert len(seen) <= 5


def test_films_that_begin_late(tmp_path):
    late = [5 + number / 10 for number in range(5)]
    for name in ("film.mkv", "film.ts"):
        path = write_clip(tmp_path / name, FRAMES, times=late, pixels="yuv420p")
        clip = open_clip(path)
        assert (clip.count, float(clip.origin)) == (5, pytest.approx(5, abs=0.01))
        assert float(clip.duration) == pytest.approx(0.5, abs=0.02)
        assert times(path) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-3)
        assert times(path, Span(Fraction(2, 10))) == pytest.approx([0, 0.1, 0.2], abs=1e-3)


def test_ticks_without_a_frame_are_no_loss(tmp_path):
    path = write_clip(tmp_path / "film.avi", FRAMES, codec="mpeg4", pixels="yuv420p")
    assert open_clip(path).count == 5


def test_a_part_begins_with_what_is_shown_then(tmp_path):
    path = write_clip(tmp_path / "film.mkv", FRAMES, times=[0, 0.1, 0.5, 0.6, 1.2])
    assert times(path, Span(Fraction(3, 10))) == pytest.approx([0, 0.2, 0.3, 0.9], abs=1e-3)
    found = images(path, Span(Fraction(3, 10), Fraction(4, 10)))
    np.testing.assert_array_equal(found, images(path)[1:2])
    assert times(path, Span(Fraction(123, 100))) == [0]


def test_another_size(tmp_path):
    path = write_clip(tmp_path / "film.mp4", FRAMES)
    assert Span(size=20).shape(open_clip(path)) == (16, 20)
    assert images(path, Span(size=20))[0].shape == (16, 20, 3)


@pytest.mark.parametrize(("name", "worst"), [("film.gif", 40), ("film.webp", 0)])
def test_animations(tmp_path, name, worst):
    first, *rest = map(Image.fromarray, BYTES)
    first.save(
        tmp_path / name, save_all=True, append_images=rest, duration=[100, 200, 0, 50, 40],
        lossless=True,
    )  # fmt: skip
    clip = open_clip(tmp_path / name)
    assert (clip.count, clip.shape) == (5, (32, 40))
    shortest = 0.1 if name.endswith("gif") else times(tmp_path / name)[3] - 0.3
    assert times(tmp_path / name)[:4] == pytest.approx([0, 0.1, 0.3, 0.3 + shortest])
    found = np.array(images(tmp_path / name), int)
    assert np.abs(found - BYTES).max() <= worst


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "film.png"])
def test_pictures_can_be_read_while_an_animation_is(tmp_path, name):
    first, *rest = map(Image.fromarray, BYTES)
    first.save(tmp_path / name, save_all=True, append_images=rest, duration=100)
    first.save(tmp_path / "picture.png")
    frames = ahead(read_frames(open_clip(tmp_path / name)))  # another thread reads
    next(frames)
    with ThreadPoolExecutor(1) as other:
        found = other.submit(load_picture, tmp_path / "picture.png").result(timeout=20)
    assert found.image.shape == (32, 40, 3)
    assert len(list(frames)) == 4


def test_a_folder_in_the_order_of_its_numbers(tmp_path):
    for number, image in zip((1, 2, 3, 10, 20), BYTES, strict=True):
        Image.fromarray(image).save(tmp_path / f"frame{number}.png")
    np.testing.assert_array_equal(images(tmp_path), BYTES)
    assert float(open_clip(tmp_path).rate) == 25
    assert float(open_clip(tmp_path, Fraction(10)).duration) == 0.5


def test_nothing_is_read_before_it_is_needed(tmp_path):
    for number, image in enumerate(BYTES):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    frames = read_frames(open_clip(tmp_path))
    next(frames)
    (tmp_path / "4.png").unlink()
    for _ in range(3):
        next(frames)
    with pytest.raises(FileNotFoundError):
        next(frames)


def test_reading_ahead_passes_errors_on():
    def items():
        yield 1
        raise ValueError("damaged")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(found)


def sound_alone(path):
    write_clip(path, FRAMES[:2], sound=0.5)
    import av

    with av.open(str(path)) as film, av.open(f"{path}.m4a", "w") as alone:
        stream = alone.add_stream_from_template(film.streams.audio[0])
        for packet in film.demux(film.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                alone.mux(packet)
    return path.with_name(f"{path.name}.m4a")


def refused(path, kind, *words):
    with pytest.raises(kind) as caught:
        list(read_frames(open_clip(path)))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path.parent}")
    for word in words:
        assert word in message


def test_a_file_without_pictures(tmp_path):
    refused(sound_alone(tmp_path / "film.mp4"), FileFormatError, "has no video stream")


def test_a_single_frame(tmp_path):
    refused(write_clip(tmp_path / "a.mp4", FRAMES[:1]), UsageError, "has a single frame")
    Image.fromarray(BYTES[0]).save(tmp_path / "a.gif")
    refused(tmp_path / "a.gif", UsageError, "has a single frame", "jaxstyle stylize")


def test_truncated_and_other_files(tmp_path):
    whole = write_clip(tmp_path / "film.mp4", FRAMES).read_bytes()
    for name, data in {
        "half.mp4": whole[: len(whole) // 2],
        "text.mp4": b"this is no film at all\n" * 50,
        "empty.mp4": b"",
        "text.gif": b"GIF89a and no more",
    }.items():
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, FileFormatError)
    refused(tmp_path / "none.mp4", FileNotFoundError, "no such file")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", UsageError, "without pictures")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "film.mp4")
    refused(tmp_path / "film.mp4", FileFormatError, "is a pipe or a device")


def test_a_film_whose_end_is_missing(tmp_path):
    """Where the index stands in front, as on the web, the file opens and its end is not there."""
    import av

    film = write_clip(tmp_path / "film.mp4", pan(40, shape=(32, 40)))
    fast = tmp_path / "fast.mp4"
    with (
        av.open(str(film)) as source,
        av.open(str(fast), "w", format="mp4", options={"movflags": "+faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = fast.read_bytes()
    fast.write_bytes(data[: data.find(b"mdat") + (len(data) - data.find(b"mdat")) // 2])
    refused(fast, FileFormatError, "is truncated", "of 40 frames")


def test_frames_of_several_sizes(tmp_path):
    Image.fromarray(BYTES[0]).save(tmp_path / "1.png")
    Image.fromarray(BYTES[1][:20]).save(tmp_path / "2.png")
    refused(tmp_path, FileFormatError, "2.png: has 40×20 pixels and 1.png 40×32")
    whole = b""
    for shape in ((32, 40), (16, 24)):  # streams that were put after one another
        part = write_clip(tmp_path / "part.ts", pan(3, shape=shape), pixels="yuv420p")
        whole += part.read_bytes()
    (tmp_path / "both.ts").write_bytes(whole)
    refused(tmp_path / "both.ts", FileFormatError, "frame 4 has 24×16 pixels and the first 40×32")


def test_without_pyav_it_says_what_to_install(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "film.mp4", FRAMES)
    monkeypatch.setattr(decoding, "can_write_video", lambda: False)
    refused(path, UsageError, ".mp4 needs PyAV; pip install 'jaxstyle[video]'")


def test_a_damaged_index_is_said_in_a_line(tmp_path):
    data = bytearray(write_clip(tmp_path / "film.mp4", FRAMES).read_bytes())
    for place in range(data.find(b"moov"), len(data) - 4, 16):
        struct.pack_into(">I", data, place, 0xDEADBEEF)
    (tmp_path / "bad.mp4").write_bytes(data)
    refused(tmp_path / "bad.mp4", FileFormatError)


def test_a_matroska_whose_end_is_missing(tmp_path):
    whole = write_clip(tmp_path / "film.mkv", pan(20, shape=(32, 40))).read_bytes()
    (tmp_path / "half.mkv").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "half.mkv", FileFormatError, "is truncated", "of 2.0 seconds are there")
