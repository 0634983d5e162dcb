"""Writing pictures: what comes back, what they carry, and what is left when writing fails."""

import errno
import json
import os
import stat
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.disks import BLOCK
from helpers.pictures import BYTES, RNG, SMOOTH, eight_bit, fails, written
from PIL import Image

from jaxstyle._common import files
from jaxstyle.errors import FileFormatError
from jaxstyle.image import io
from jaxstyle.image.io import load_image, load_picture, read_settings, save_image


@pytest.mark.parametrize(
    ("name", "quality"), [("a.png", 95), ("a.TIF", 95), ("a.tiff", 1), ("a.webp", 100)]
)
def test_round_trip_is_exact(tmp_path, name, quality):
    path, alpha = tmp_path / name, BYTES[..., 0] | 1
    save_image(path, BYTES / 255, quality=quality)
    np.testing.assert_array_equal(eight_bit(load_picture(path).image), BYTES)
    save_image(path, jnp.asarray(BYTES / 255), alpha=alpha / 255, quality=quality)
    picture = load_picture(path)
    np.testing.assert_array_equal(eight_bit(picture.image), BYTES)
    np.testing.assert_array_equal(eight_bit(picture.alpha), alpha)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_sixteen_bits_come_back_exactly(tmp_path, name, channels):
    levels = RNG.integers(0, 65536, (13, 9, 4), dtype=np.uint16)
    levels[0, 0] = 0
    alpha = levels[..., 3] / 65535 if channels == 4 else None
    settings = {"style": "名画.jpg"}
    path = tmp_path / name
    save_image(path, levels[..., :3] / 65535, alpha=alpha, settings=settings, bit_depth=16)
    with Image.open(path) as image:  # Pillow as an independent reader, of 8 bits
        np.testing.assert_array_equal(np.asarray(image), levels[..., :channels] >> 8)
    assert read_settings(path) == settings
    visible = levels[..., 3] > 128 if channels == 4 else np.full((13, 9), True)
    picture = load_picture(path)
    np.testing.assert_array_equal(
        np.rint(picture.image * 65535.0)[visible], levels[..., :3][visible]
    )
    if channels == 4:
        np.testing.assert_array_equal(np.rint(picture.alpha * 65535.0)[visible], levels[visible, 3])


def test_sixteen_bits_are_smaller_than_raw_where_the_picture_is_smooth(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 1, 256)[:, None], (256, 256, 3))
    for name in ("a.png", "a.tif"):
        save_image(tmp_path / name, ramp, bit_depth=16)
        assert (tmp_path / name).stat().st_size < ramp.size * 2 / 50


def test_rounding_and_clipping(tmp_path):
    path = tmp_path / "a.png"
    values = np.array([-np.inf, -1, 0.5, 1.5, 2.5, 254.6, 300, np.inf], np.float32) / 255
    save_image(path, np.broadcast_to(values[None, :, None], (1, 8, 3)))
    expected = [0, 0, 0, 2, 2, 255, 255, 255]
    np.testing.assert_array_equal(np.asarray(Image.open(path))[0, :, 0], expected)
    save_image(path, jnp.full((2, 2, 3), 0.5, jnp.bfloat16))
    assert Image.open(path).getpixel((0, 0)) == (128, 128, 128)


def test_lossy_output(tmp_path):
    save_image(tmp_path / "a.jpg", SMOOTH / 255, alpha=np.ones((48, 64)))
    with Image.open(tmp_path / "a.jpg") as jpeg:
        assert [layer[1:3] for layer in jpeg.layer] == [(1, 1)] * 3  # 4:4:4
        assert np.abs(np.asarray(jpeg).astype(int) - SMOOTH).max() < 10
    save_image(tmp_path / "noise.jpg", RNG.random((600, 600, 3)), quality=100)
    save_image(tmp_path / "b.jpeg", np.zeros((8, 8, 3)), alpha=np.full((8, 8), 0.25))
    assert load_image(tmp_path / "b.jpeg")[4, 4, 0] == pytest.approx(0.75, abs=0.01)
    alpha = RNG.integers(0, 256, (48, 64)) / 255
    save_image(tmp_path / "a.webp", SMOOTH / 255, alpha=alpha)
    np.testing.assert_array_equal(
        eight_bit(load_picture(tmp_path / "a.webp").alpha), eight_bit(alpha)
    )


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_settings_round_trip(tmp_path, name):
    path = tmp_path / name
    settings = {"style": "Пикассо 名画 \udce9.jpg", "steps": np.int32(5), "tv": jnp.float32(0.5)}
    save_image(path, BYTES / 255, settings={**settings, "path": Path("x"), "sizes": (1, 2)})
    expected = {"style": settings["style"], "steps": 5, "tv": 0.5, "path": "x", "sizes": [1, 2]}
    assert read_settings(path) == expected
    save_image(path, BYTES / 255)
    fails(FileFormatError, path, "holds no jaxstyle settings", call=read_settings)
    fails(FileNotFoundError, tmp_path / "none.png", call=read_settings)


def test_settings_of_others(tmp_path):
    image = Image.fromarray(BYTES)
    save_image(tmp_path / "a.png", BYTES / 255, settings={"a": 1})
    with Image.open(tmp_path / "a.png") as saved:
        assert json.loads(saved.text["jaxstyle"]) == {"a": 1}
        assert saved.text["Software"].startswith("jaxstyle")
    exif = Image.Exif()
    exif[270] = "jaxstyle {broken"
    for name, options in (("b.jpg", {"exif": exif}), ("c.jpg", {"comment": b"{}"})):
        path = written(tmp_path, image, name, **options)
        fails(FileFormatError, path, "holds no jaxstyle settings", call=read_settings)


@pytest.mark.parametrize(
    ("error", "match", "image", "options"),
    [
        (ValueError, "2 that are NaN", np.array([[[np.nan, np.nan, 1]]]), {}),
        (ValueError, r"\(H, W, 3\), got \(4, 4\)", np.zeros((4, 4)), {}),
        (ValueError, r"got \(4, 4, 4\)", np.zeros((4, 4, 4)), {}),
        (ValueError, r"got \(0, 4, 3\)", np.zeros((0, 4, 3)), {}),
        (TypeError, "uint8", BYTES, {}),
        (ValueError, "alpha: expected shape", np.zeros((4, 4, 3)), {"alpha": np.ones((4, 5))}),
        (ValueError, "quality should be at least 1, got 0", np.zeros((4, 4, 3)), {"quality": 0}),
        (ValueError, "quality .* at most 100", np.zeros((4, 4, 3)), {"quality": 101}),
        (TypeError, "quality .* whole number, got 'x'", np.zeros((4, 4, 3)), {"quality": "x"}),
        (ValueError, "bit_depth: expected 8 or 16", np.zeros((4, 4, 3)), {"bit_depth": 12}),
        (TypeError, "settings: .*JSON", np.zeros((4, 4, 3)), {"settings": {"a": {1}}}),
    ],
)
def test_arguments_that_cannot_be_saved(tmp_path, error, match, image, options):
    with pytest.raises(error, match=match):
        save_image(tmp_path / "a.png", image, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "width", "settings"), [("a.webp", 16_384, None), ("a.jpg", 8, {"a": "x" * 70_000})]
)
def test_more_than_the_format_holds(tmp_path, name, width, settings):
    def save(path):
        save_image(path, np.zeros((1, width, 3)), settings=settings)

    fails(ValueError, tmp_path / name, "save it as .png", call=save)
    assert not list(tmp_path.iterdir())


def test_check_output_path(tmp_path, monkeypatch):
    io.check_output_path(tmp_path / "out.PNG")
    assert not list(tmp_path.iterdir())
    for name in ("out.gif", "out", ".png"):
        fails(ValueError, tmp_path / name, ".png, .jpg", call=io.check_output_path)
    for name, kind in (("a.jpg", "JPEG"), ("a.webp", "WEBP")):
        with pytest.raises(
            ValueError, match=f"{kind} holds 8 bits per channel, not 16; save it as"
        ):
            io.check_output_path(tmp_path / name, bit_depth=16)
        with pytest.raises(ValueError, match="16; save it as"):
            save_image(tmp_path / name, BYTES / 255, bit_depth=16)
    io.check_output_path(tmp_path / "a.tif", bit_depth=16)
    fails(IsADirectoryError, tmp_path, "name a file inside", call=io.check_output_path)
    fails(FileNotFoundError, tmp_path / "no" / "a.png", "create it", call=io.check_output_path)
    (tmp_path / "file").touch()
    fails(NotADirectoryError, tmp_path / "file" / "a.png", call=io.check_output_path)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    fails(OSError, tmp_path / "a.png", "Read-only", "another folder", call=io.check_output_path)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_text("old")

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output") as caught:
        save_image(path, BYTES / 255)
    assert caught.value.errno == errno.EIO
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(KeyboardInterrupt), files.atomic_write(path):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("blocks", [0, 3])
@pytest.mark.parametrize(
    ("name", "bit_depth"),
    [("a.png", 8), ("a.jpg", 8), ("a.webp", 8), ("a.tif", 8), ("a.png", 16), ("a.tif", 16)],
)
def test_a_full_disk_leaves_the_old_picture(small_disk, capfd, name, bit_depth, blocks):
    path = small_disk((1 + blocks) * BLOCK) / name
    path.write_bytes(b"old")
    noise = RNG.random((120, 160, 3))

    def save(path):
        save_image(path, noise, quality=100, bit_depth=bit_depth)

    fails(OSError, path, "no space left on device", "make room", call=save)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [name]
    assert capfd.readouterr() == ("", "")  # libtiff would print lines of its own


def test_atomic_write(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "trace.csv", tmp_path / "link.csv"
    link.symlink_to(target)
    umask = os.umask(0o027)
    try:
        with files.atomic_write(link) as temporary:
            temporary.write_text("step,loss")
            assert temporary.parent == target.parent
            assert temporary.name.startswith(".")
            assert not target.exists()
    finally:
        os.umask(umask)
    assert target.read_text() == "step,loss"
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(target.parent) == ["trace.csv"]


def test_names_with_odd_letters(tmp_path):
    path = tmp_path / ("ü 名 'x" * 20 + ".png")
    save_image(path, BYTES / 255)
    assert load_image(path, 5).shape == (3, 5, 3)
