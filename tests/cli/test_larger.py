"""`jaxstyle larger`: from a picture on the disk to a larger one, and on from a snapshot."""

from pathlib import Path

import pytest
from helpers.command_line import STYLIZE, done, pixels

from jaxstyle.image.io import read_settings
from jaxstyle.pipeline import snapshot


@pytest.mark.slow
def test_a_picture_is_made_larger_and_says_how(cli, network):
    done(cli(STYLIZE))
    assert read_settings("out.png")["sources"].keys() >= {"content", "painting"}
    done(cli("larger out.png -o big.png --times 2 --steps 2", network=network))
    assert pixels("big.png").shape == (43, 64, 3)  # as of a photograph of 48×32 pixels
    settings = read_settings("big.png")
    assert settings["command"] == "stylize"
    assert settings["options"]["init"] == "out.png"
    assert settings["step"] == 2
    assert "--init out.png" in done(cli("show big.png")).out


@pytest.mark.slow
def test_a_larger_picture_goes_on_from_a_snapshot_at_any_of_its_sizes(cli, network, monkeypatch):
    done(cli(STYLIZE))
    line, options = "larger out.png -o big.png --times 3 --steps 3", {"network": network}
    done(cli(line, **options))
    whole, keep = Path("big.png").read_bytes(), snapshot.save_snapshot
    for step in (2, 3, 5):  # the second is the end of the first size

        def killed(path, progress, *rest, step=step):
            keep(path, progress, *rest)
            if progress.step == step:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("jaxstyle.pipeline.sinks.save_snapshot", killed)
            assert cli(line, **options, resume=True, snapshot_every=1).status == 130
        assert Path("big.png").read_bytes() != whole
        done(cli(line, **options, resume=True, snapshot_every=1))
        assert Path("big.png").read_bytes() == whole
        assert not Path("big.png.snapshot").exists()


@pytest.mark.slow
def test_what_a_network_painted_goes_on_too(cli, folder, with_shipped, monkeypatch):
    done(cli("apply content.png -o out.png --style swirls --size 24"))
    line, keep = "larger out.png -o big.png --size 40 --steps 3", snapshot.save_snapshot
    done(cli(line))
    whole = Path("big.png").read_bytes()

    def killed(path, progress, *rest):
        keep(path, progress, *rest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jaxstyle.pipeline.sinks.save_snapshot", killed)
        assert cli(line, resume=True, snapshot_every=1).status == 130
    assert Path("big.png").read_bytes() != whole
    done(cli(line, resume=True, snapshot_every=1))
    assert Path("big.png").read_bytes() == whole
    assert not Path("big.png.snapshot").exists()


def test_what_cannot_be_made_larger_is_one_line(cli):
    for line, status, says in (
        ("larger content.png -o big.png --times 2", 1, "content.png: holds no jaxstyle settings"),
        ("larger lost.png -o big.png --times 2", 2, "lost.png"),
        ("larger content.png -o big.png --times 1", 2, "--times: should be a number greater than"),
    ):
        ran = cli(line)
        assert (ran.status, ran.err.count("\n")) == (status, 1)
        assert says in ran.err
