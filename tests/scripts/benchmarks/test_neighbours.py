"""The comparison of ways to match pieces: it makes and judges each picture once."""

import pytest
from helpers.command_line import write_picture

from jaxstyle.networks.load import load_network
from jaxstyle.networks.save import save_params
from scripts.benchmarks import neighbours
from scripts.pairs import PAIRS


@pytest.mark.slow
def test_pictures_are_made_once_and_judged(tmp_path, network, capsys, monkeypatch):
    for i, (folder, name) in enumerate(zip(("content", "style"), PAIRS[0], strict=True)):
        (tmp_path / folder).mkdir()
        write_picture(tmp_path / folder / name, i)
    judge = tmp_path / "judge.safetensors"
    save_params(judge, load_network(str(network)).params, {})
    line = [
        f"--data={tmp_path}", f"--judge={judge}", f"--network={network}", "--pairs=1",
        "--steps=2",
        "--size=64", "-o", str(tmp_path / "sheets"), "--ways", "gram", "gram, places",
    ]  # fmt: skip
    neighbours.main(line)
    table = capsys.readouterr().out.splitlines()[-4:]
    assert [row.split(" | ")[0] for row in table] == [
        "|---|---|---|---|---|---|---|---|---|---|", "| content image", "| gram", "| gram, places",
    ]  # fmt: skip
    assert table[1].split(" | ")[1:3] == ["1.000", "1.000"]
    monkeypatch.setattr(neighbours, "make", None)
    neighbours.main(line)
    assert capsys.readouterr().out.splitlines()[-4:] == table
