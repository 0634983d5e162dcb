"""Films of the optimisation: which pictures they show, and that they appear complete."""

import os
import weakref
from io import BytesIO
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import STYLIZE, done, pixels
from PIL import Image, ImageSequence

from jaxstyle.image import gif, video
from jaxstyle.image.animation import Animation, encode_animation
from jaxstyle.image.io import load_picture
from jaxstyle.optimization import descent

pytestmark = pytest.mark.usefixtures("compile_faster")

LEVELS = (0.0, 0.25, 0.5, 1.0)


def filmed(**options):
    animation = Animation(**options)
    for step, level in enumerate(LEVELS):
        animation(step, jnp.full((12, 20, 3), level))
    return animation


def shown(path):
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "FILM.GIF"])
def test_a_film_shows_the_pictures_in_their_order(tmp_path, name):
    filmed().write(tmp_path / name)
    frames = shown(tmp_path / name)
    assert [frame.shape for frame in frames] == [(12, 20, 3)] * 4
    for frame, level in zip(frames, LEVELS, strict=True):
        assert np.abs(frame - 255 * level).max() <= 2
    with Image.open(tmp_path / name) as image:
        assert image.info["loop"] == 0
        times = []
        for frame in ImageSequence.Iterator(image):
            frame.load()
            times.append(frame.info["duration"])
    assert times == [80, 80, 80, 1500]


def test_a_folder_holds_numbered_pictures(tmp_path):
    for name in ("new", "empty", "with.dot/"):
        path = tmp_path / name
        if name == "empty":
            path.mkdir()
        filmed().write(f"{tmp_path}/{name}")
        assert sorted(os.listdir(path)) == [f"{i:04d}.png" for i in range(4)]
        levels = [pixels(path / f"{i:04d}.png")[0, 0, 0] for i in range(4)]
        assert levels == [0, 64, 128, 255]
    assert sorted(os.listdir(tmp_path)) == ["empty", "new", "with.dot"]


def test_large_pictures_are_made_smaller_and_all_of_one_size(tmp_path):
    frames = filmed(size=10).frames
    assert {frame.shape for frame in frames} == {(6, 10, 3)}
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 64, 128, 255]
    growing = Animation()
    for step, side in enumerate((4, 8, 16)):
        growing(step, jnp.full((side, 2 * side, 3), side / 16))
    growing.write(tmp_path / "frames")
    assert [pixels(tmp_path / "frames" / f"{i:04d}.png").shape for i in range(3)] == [
        (16, 32, 3)
    ] * 3


def test_a_step_is_shown_once_and_out_of_range_is_clipped():
    animation = Animation()
    for step, level in ((5, -1.0), (5, -1.0), (6, 2.0)):
        animation(step, jnp.full((4, 4, 3), level))
    assert [int(frame.max()) for frame in animation.frames] == [0, 255]


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="no picture was kept"):
        Animation().write(tmp_path / "film.gif")
    with pytest.raises(ValueError, match="size should be at least 1, got 0"):
        Animation(size=0)
    with pytest.raises(ValueError, match="or a folder, not"):
        filmed().write(tmp_path / "film.avi")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").touch()
    with pytest.raises(FileExistsError, match="full: is a folder with files in it"):
        filmed().write(tmp_path / "full")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file: is a file; name a folder"):
        filmed().write(tmp_path / "file")


def settling(count=51, shape=(240, 320)):
    """Pictures as an optimisation makes them: strokes that change much at first, then little."""
    rng = np.random.default_rng(0)
    small = rng.random((3, 12, 16, 3))
    start, strokes, end = (
        np.asarray(Image.fromarray(np.uint8(255 * each)).resize(shape[::-1])) / 255
        for each in small
    )
    grain = rng.normal(0, 0.03, (*shape, 3))
    animation = Animation()
    for i in range(count):
        rest = np.exp(-i / 8)
        picture = rest * start + (1 - rest) * (0.3 * strokes + 0.7 * end + grain)
        animation.frames.append(np.uint8(255 * picture.clip(0, 1)))
    return animation


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_a_film_of_the_usual_length_and_size_stays_below_a_megabyte(tmp_path, kind):
    if kind == "mp4":
        pytest.importorskip("av")
    animation = settling()
    animation.write(tmp_path / f"film.{kind}")
    assert 10_000 < os.path.getsize(tmp_path / f"film.{kind}") < 1_000_000


def in_palette(frame, frames, colours):
    palette = gif.choose_palette(frames, len(frames), colours)
    return palette.astype(int)[gif.in_palette(frame, gif._nearest(palette))]


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_few_pictures_of_a_long_animation_are_in_memory(kind):
    class Frames:
        most = 0

        def __iter__(self):
            rng, seen = np.random.default_rng(0), []
            for _ in range(60):
                frame = rng.integers(0, 255, (16, 24, 3), np.uint8)
                seen.append(weakref.ref(frame))
                self.most = max(self.most, sum(each() is not None for each in seen))
                yield frame

    frames = Frames()
    data = encode_animation(frames, kind, [40] * 60)
    with Image.open(BytesIO(data)) as film:
        assert film.n_frames == 60
    assert frames.most <= 12


def test_a_gif_is_what_was_drawn_at_the_times_that_were_given():
    rng = np.random.default_rng(0)
    levels = np.uint8([[20, 40, 60], [200, 80, 60], [30, 220, 90], [90, 90, 240]])
    drawn = [levels[rng.integers(0, 4, (9, 13))] for _ in range(4)]
    drawn[2][3:] = drawn[1][3:]
    frames = [drawn[0], drawn[1], drawn[1], drawn[2], drawn[3]]
    data = b"".join(gif.encode_gif(frames, [33, 33, 34, 100, 70], 0, 255))
    shown, times = [], []
    with Image.open(BytesIO(data)) as film:
        assert film.info["loop"] == 0
        for number in range(film.n_frames):
            film.seek(number)
            film.load()
            shown.append(np.asarray(film.convert("RGB")).astype(int))
            times.append(film.info["duration"])
    assert np.abs(np.array(shown) - drawn).max() <= 8
    assert times == [30, 70, 100, 70]  # hundredths of a second, which do not drift


def test_a_pixel_of_a_gif_changes_when_it_shows_and_the_last_picture_is_as_it_was():
    frames = [np.full((2, 2, 3), level, np.uint8) for level in (100, 105, 111, 115, 250, 255)]
    assert [int(frame[0, 0, 0]) for frame in gif.hold(frames, 10)] == [100, 100, 111, 111, 250, 255]
    pictures = [in_palette(frame, frames, 4) for frame in frames]
    colours = [picture[0, 0, 0] for picture in pictures]
    assert np.abs(np.subtract(colours, [100, 105, 111, 115, 250, 255])).max() <= 8
    assert all((picture == picture[0, 0]).all() for picture in pictures)


def test_small_areas_of_a_strong_colour_stay():
    frame = np.full((100, 100, 3), 90, np.uint8)
    frame[..., 0] = np.random.default_rng(0).integers(60, 120, (100, 100))
    frame[:3, :3] = (250, 220, 20)
    picture = in_palette(frame, [frame], 64)
    assert np.abs(picture[1, 1] - [250, 220, 20]).max() <= 8


def test_a_video_plays_everywhere_and_its_colours_are_those_of_the_pictures(tmp_path):
    av = pytest.importorskip("av")
    animation = Animation()
    colours = [(0.9, 0.1, 0.1), (0.1, 0.8, 0.2), (0.1, 0.2, 0.9)]
    for step, colour in enumerate(colours):
        animation(step, jnp.broadcast_to(jnp.array(colour), (31, 47, 3)))
    animation.write(tmp_path / "film.mp4")
    data = (tmp_path / "film.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays while it loads
    with av.open(str(tmp_path / "film.mp4")) as film:
        codec = film.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.width, codec.height) == (
            "h264", "yuv420p", 48, 32,
        )  # fmt: skip
        assert (codec.color_primaries, codec.color_trc, codec.colorspace) == (1, 1, 1)
        assert codec.color_range == 1
        decoded = [
            frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
            for frame in film.decode(video=0)
        ]
    assert len(decoded) == 2 + 1500 // 80
    for frame, colour in zip(decoded, colours, strict=False):
        assert np.abs(frame - 255 * np.array(colour)).max() <= 6
    assert os.listdir(tmp_path) == ["film.mp4"]


def test_a_video_without_pyav_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxstyle.image.animation.can_write_video", lambda: False)
    with pytest.raises(
        ValueError, match=r"film.mp4: .* needs PyAV; pip install 'jaxstyle\[video\]'"
    ):
        filmed().write(tmp_path / "film.mp4")
    assert os.listdir(tmp_path) == []


def test_odd_sides_are_made_even_by_their_last_row_and_column():
    frame = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    even = video._even(frame)
    assert even.shape == (4, 6, 3)
    np.testing.assert_array_equal(even[:3, :5], frame)
    np.testing.assert_array_equal(even[3, :5], frame[2])
    np.testing.assert_array_equal(even[:3, 5], frame[:, 4])
    np.testing.assert_array_equal(video._even(even), even)


# ---- jaxstyle --animate ------------------------------------------------------------------------
def test_the_command_films_from_the_start_to_the_picture_that_it_writes(cli):
    done(cli(STYLIZE, animate="frames/", animate_every=2, save_every=2))
    assert sorted(os.listdir("frames")) == ["0000.png", "0001.png", "0002.png"]
    assert (pixels("frames/0001.png") == pixels("out-000002.png")).all()
    assert (pixels("frames/0002.png") == pixels("out.png")).all()


def test_the_first_picture_is_the_start_and_there_are_about_fifty(cli):
    done(cli(STYLIZE, animate="frames", init="content", steps=99, solver="adam"))
    content = load_picture("content.png", size=32).image
    np.testing.assert_array_equal(pixels("frames/0000.png"), np.rint(255 * content))
    assert len(os.listdir("frames")) == 51


def test_the_size_of_a_film(cli):
    done(cli(STYLIZE, animate="frames", animate_size=20, steps=1))
    assert pixels("frames/0001.png").shape == (13, 20, 3)


def test_an_interrupt_keeps_the_film_so_far(cli, monkeypatch):
    descend = descent.descend_resolved

    def interrupted(*args, **options):
        for progress in descend(*args, **options):
            yield progress
            if progress.step == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(descent, "descend_resolved", interrupted)
    # Small steps, so that every one gives a better picture.
    assert cli(STYLIZE, animate="film", solver="adam", learning_rate=0.002).status == 130
    assert len(os.listdir("film")) == 3


def test_films_that_are_refused(cli):
    Path("full").mkdir()
    Path("full/notes").touch()
    for line, says in (
        (
            f"{STYLIZE} --animate film.avi",
            "film.avi: an animation is a .gif, a .webp, an .mp4 or a",
        ),
        (f"{STYLIZE} --animate-size 64", "--animate-size needs --animate beside it"),
        (f"{STYLIZE} --animate full", "full: is a folder with files in it; name a new"),
        (f"{STYLIZE} --animate absent/film.gif", "cannot write in absent"),
        (f"{STYLIZE} --animate absent/film/", "cannot write in absent"),
        (f"{STYLIZE} --animate film.gif --resume", "--resume and --animate exclude each other"),
        (f"{STYLIZE} --animate-every 5", "--animate-every needs --animate beside it"),
        (f"{STYLIZE} --animate film.gif --animate-every 0", "--animate-every"),
        (
            "stylize content.png style.png content.png -o made --animate film.gif",
            "--animate is for",
        ),
    ):
        ran = cli(line)
        assert (ran.status, ran.out) == (2, "")
        assert says in ran.err
        assert ran.err.count("\n") == 1
    assert sorted(os.listdir()) == ["content.png", "full", "style.png"]
