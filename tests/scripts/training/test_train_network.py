"""The script that trains the network of the package."""

from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import write_picture

from jaxstyle.errors import UsageError
from scripts.training import train_network


@pytest.fixture
def data(tmp_path):
    (tmp_path / "style").mkdir()
    write_picture(tmp_path / "style" / "night.png", 1)
    return tmp_path


def test_paintings_are_found_by_name_and_one_is_the_packages_own(data):
    night, swirls = train_network.load_paintings(data, ["night", "swirls"])
    assert max(night.shape) == max(swirls.shape) == train_network.PAINTING_SIDE
    with pytest.raises(UsageError, match="--styles should be among night, swirls, got dawn"):
        train_network.load_paintings(data, ["night", "dawn"])


def test_the_stages_share_all_steps():
    assert np.isclose(sum(share for *_, share in train_network.STAGES), 1.0)


def test_too_few_photographs_are_one_line(data, capsys):
    (data / "photos").mkdir()
    write_picture(data / "photos" / "a.png", 2)
    with pytest.raises(SystemExit) as caught:
        train_network.main(
            [f"--data={data}", f"--work={data / 'work'}", "--styles=night", "--steps=1"]
        )
    assert caught.value.code == 2
    assert "training needs at least 8 photographs" in capsys.readouterr().err
    assert not Path(data / "work" / "checkpoint.msgpack").exists()
