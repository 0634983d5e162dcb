"""Films are written whole or not at all, with colours and sound as they should be."""

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.films import bytes_of, pan, write_clip
from PIL import Image

from jaxstyle.errors import UsageError
from jaxstyle.image import video
from jaxstyle.video import writing
from jaxstyle.video.reading import Span, Timed, open_clip, read_frames
from jaxstyle.video.writing import Sound, as_bytes, check_film_path, warn_of_sound, write_film

av = pytest.importorskip("av")

BYTES = bytes_of(pan(6, shape=(32, 40)))


def timed(images=BYTES, rate=10):
    return [Timed(Fraction(i, rate), image) for i, image in enumerate(images)]


def back(path):
    return list(read_frames(open_clip(path)))


@pytest.mark.parametrize("name", ["film.mp4", "film.mov", "film.mkv"])
def test_a_film_in_the_form_that_everything_plays(tmp_path, name):
    write_film(tmp_path / name, timed(), Fraction(6, 10))
    with av.open(str(tmp_path / name)) as film:
        stream = film.streams.video[0]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert (codec.colorspace, codec.color_primaries, codec.color_trc) == (1, 1, 1)
        assert codec.color_range == 1
    found = back(tmp_path / name)
    assert [float(frame.time) for frame in found] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    difference = np.array([frame.image for frame in found], int) - BYTES
    assert np.abs(difference).mean() < 6
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_times_that_are_not_even_stay(tmp_path):
    uneven = [0, 0.1, 0.5, 0.6, 1.2, 1.3]
    frames = [Timed(Fraction(round(1000 * t), 1000), i) for t, i in zip(uneven, BYTES, strict=True)]
    write_film(tmp_path / "film.mp4", frames, Fraction(14, 10))
    assert [float(f.time) for f in back(tmp_path / "film.mp4")] == pytest.approx(uneven, abs=1e-3)


def test_odd_sides_are_repeated_once(tmp_path):
    write_film(tmp_path / "film.mp4", timed([image[:31, :39] for image in BYTES]), Fraction(1))
    assert open_clip(tmp_path / "film.mp4").shape == (32, 40)


def packets_of(path):
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        return [(p.pts * p.time_base, bytes(p)) for p in film.demux(stream) if p.pts is not None]


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_the_sound_is_copied_unchanged(tmp_path, name):
    clip = open_clip(write_clip(tmp_path / "film.mp4", pan(10), sound=1.0))
    assert clip.has_sound
    write_film(
        tmp_path / name, read_frames(clip), clip.duration, Sound(clip, Fraction(0), Fraction(9))
    )
    before, after = packets_of(clip.path), packets_of(tmp_path / name)
    assert [data for _, data in after] == [data for _, data in before]
    shifts = [float(b - a) for (a, _), (b, _) in zip(before, after, strict=True)]
    assert max(shifts) - min(shifts) < 2e-3
    assert abs(shifts[0]) < 0.15  # what AAC's encoder puts in front may be counted otherwise


def test_the_sound_of_a_part(tmp_path):
    clip = open_clip(write_clip(tmp_path / "film.mp4", pan(20), sound=2.0))
    span = Span(Fraction(1, 2), Fraction(1))
    sound = Sound(clip, span.start, Fraction(1))
    write_film(tmp_path / "out.mp4", read_frames(clip, span), Fraction(1, 2), sound)
    before = {data: time for time, data in packets_of(clip.path)}
    after = packets_of(tmp_path / "out.mp4")
    assert 2 <= len(after) <= 6  # of 128 ms each
    assert all(abs(float(before[data] - time) - 0.5) < 0.15 for time, data in after)


def test_sound_that_a_file_cannot_hold_is_left_out_and_named(tmp_path, caplog):
    path = tmp_path / "film.mkv"
    write_clip(path, pan(5))
    with av.open(str(path)) as source, av.open(str(tmp_path / "tone.mkv"), "w") as film:
        pictures = film.add_stream_from_template(source.streams.video[0])
        tone = film.add_stream("wavpack", rate=8000, layout="mono")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = pictures
                film.mux(packet)
        silence = np.zeros((1, 2048), np.float32)
        samples = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        samples.sample_rate = 8000
        film.mux(tone.encode(samples))
        film.mux(tone.encode())
    clip = open_clip(tmp_path / "tone.mkv")
    sound = Sound(clip, Fraction(0), Fraction(1))
    with caplog.at_level(logging.WARNING):
        warn_of_sound(tmp_path / "out.mkv", clip)
        warn_of_sound(tmp_path / "out.gif", clip)
        assert not caplog.text
        warn_of_sound(tmp_path / "out.mp4", clip)
    assert "a .mp4 holds no sound as wavpack, so it is left out; try a .mkv" in caplog.text
    write_film(tmp_path / "out.mp4", read_frames(clip), clip.duration, sound)
    assert not open_clip(tmp_path / "out.mp4").has_sound


def test_sound_that_a_file_refuses_at_its_beginning_is_left_out(tmp_path, caplog):
    """FFmpeg names Opus among what .mov holds, and then refuses it."""
    clip = open_clip(write_clip(tmp_path / "film.mkv", pan(5), sound=0.5, tone="libopus"))
    with caplog.at_level(logging.WARNING):
        warn_of_sound(tmp_path / "out.mov", clip)
    assert "a .mov holds no sound as opus" in caplog.text
    for name, holds in (("out.mov", False), ("out.mp4", True), ("out.mkv", True)):
        sound = Sound(clip, Fraction(0), Fraction(1))
        write_film(tmp_path / name, read_frames(clip), clip.duration, sound)
        assert open_clip(tmp_path / name).has_sound == holds


@pytest.mark.parametrize("name", ["film.gif", "film.webp"])
def test_animations(tmp_path, name):
    write_film(tmp_path / name, timed(), Fraction(1))
    with Image.open(tmp_path / name) as film:
        assert film.n_frames == 6
        film.seek(5)
        film.load()
        assert film.info["duration"] == 500


def test_a_folder_of_frames(tmp_path):
    write_film(tmp_path / "frames", timed(), Fraction(1))
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == [f"{number:06d}.png" for number in range(1, 7)]
    with Image.open(tmp_path / "frames" / names[2]) as frame:
        np.testing.assert_array_equal(np.asarray(frame), BYTES[2])


@pytest.mark.parametrize("name", ["film.mp4", "film.gif", "frames"])
def test_a_film_that_ends_early_leaves_what_was_there(tmp_path, name):
    if name != "frames":
        (tmp_path / name).write_text("older")

    def breaks():
        yield from timed()[:3]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_film(tmp_path / name, breaks(), Fraction(1))
    left = [path.name for path in tmp_path.iterdir()]
    assert left == ([] if name == "frames" else [name])
    assert name == "frames" or (tmp_path / name).read_text() == "older"


def test_refusals(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"a film is a .mp4, .mov, .mkv, .gif or .webp"):
        check_film_path(tmp_path / "film.avi")
    with pytest.raises(FileNotFoundError, match="cannot write in"):
        check_film_path(tmp_path / "none" / "film.mp4")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").touch()
    with pytest.raises(FileExistsError, match="is a folder with files in it"):
        check_film_path(tmp_path / "full")
    monkeypatch.setattr(writing, "can_write_video", lambda: False)
    with pytest.raises(UsageError, match=r"\.mp4 needs PyAV; pip install 'jaxstyle\[video\]'"):
        check_film_path(tmp_path / "film.mp4")


def test_pictures_are_rounded_to_bytes():
    assert as_bytes(np.array([-0.2, 0.0, 0.5, 1.0, 1.3])).tolist() == [0, 0, 128, 255, 255]


def test_the_film_of_a_descent_is_written_by_the_same_encoder(tmp_path):
    video.write_video(tmp_path / "film.mp4", BYTES, 80, 400)
    assert open_clip(Path(tmp_path / "film.mp4")).count == 10
