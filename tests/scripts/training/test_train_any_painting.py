"""The script that trains the network for any painting."""

import numpy as np
import pytest
from helpers.command_line import write_picture

from jaxstyle.feedforward.photographs import Photographs
from scripts.training import textures, train_any_painting


def test_textures_are_pictures_that_the_seed_decides():
    palettes = [np.random.default_rng(0).uniform(0, 1, (8, 8, 3))]
    drawn = [textures.draw_texture(np.random.default_rng(i), 64, palettes) for i in range(12)]
    for i, picture in enumerate(drawn):
        assert picture.shape == (64, 64, 3)
        assert 0 <= picture.min() < picture.max() <= 1
        again = textures.draw_texture(np.random.default_rng(i), 64, palettes)
        np.testing.assert_array_equal(picture, again)
    assert len({picture.tobytes() for picture in drawn}) == 12


@pytest.mark.parametrize("kind", textures._KINDS)
def test_each_kind_has_the_colours_of_its_palette(kind):
    """A palette of greys makes a grey texture."""
    colors = np.repeat(np.linspace(0.1, 0.9, 4)[:, None], 3, axis=1)
    picture = kind(np.random.default_rng(1), 64, colors)
    np.testing.assert_allclose(picture.std(axis=2), 0, atol=1e-6)
    assert picture.std() > 0.02


@pytest.mark.slow
def test_the_bank_has_all_kinds_and_no_painting_is_told_from_its_name(tmp_path):
    for i in range(8):
        write_picture(tmp_path / f"{i}.png", i, size=(300, 280))
    paths = sorted(tmp_path.iterdir())
    bank = train_any_painting.make_bank(paths[:2], Photographs(paths), 0)
    each = train_any_painting
    assert len(bank) == 2 * each.SQUARES + each.TEXTURES + each.PHOTOGRAPHS
    for picture in bank:
        assert (picture.shape, picture.dtype) == ((each.SIDE, each.SIDE, 3), np.float32)
        assert 0 <= picture.min() <= picture.max() <= 1


def test_too_few_photographs_are_one_line(tmp_path, capsys):
    for folder in ("photos", "style"):
        (tmp_path / folder).mkdir()
    for name in train_any_painting.KEPT_OUT:
        write_picture(tmp_path / "style" / f"{name}.png", 1)
    write_picture(tmp_path / "photos" / "a.png", 2)
    with pytest.raises(SystemExit) as caught:
        train_any_painting.main([f"--data={tmp_path}", f"--work={tmp_path / 'work'}", "--steps=1"])
    assert caught.value.code == 2
    assert "training needs at least 8 photographs" in capsys.readouterr().err
