"""Sweeps: what they come to, what is recorded, what survives a kill, what people look at."""

import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import test_cli
from PIL import Image
from test_cli import write_picture

from jaxstyle.cli import main
from jaxstyle.io import read_settings
from jaxstyle.sweep import make_spec, manifest, run_sweep

network, cli = test_cli.network, test_cli.cli
ROOT = Path(__file__).parents[1]
SMALL = {
    "size": 32,
    "steps": 3,
    "content-layers": "relu2_1",
    "style-layers": "relu1_1",
}


@pytest.fixture
def folder(cli):
    """The folder of the command line's tests, with two photographs and two paintings."""
    write_picture("other.png", 3)
    write_picture("paint.png", 4)
    return Path.cwd()


@pytest.fixture
def describe(folder, network):
    def describe(**changes):
        options = SMALL | {"network": str(network)} | changes.pop("options", {})
        return {"content": "content.png", "style": "style.png", "options": options} | changes

    return describe


def run(line: str) -> int:
    return main(line.split())


def table_of(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    """All that must be the same however often a sweep was killed: all but times and places."""
    found = {}
    for path in sorted(folder.rglob("*")):
        record = path.name.startswith(".lock") or path.name in ("manifest.jsonl", "programs.json")
        if path.is_file() and not record:
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@pytest.mark.parametrize(
    ("change", "count", "values"),
    [
        ({"options": {"seed": [3, 4, 5]}}, 3, [3, 4, 5]),
        ({"options": {"seed": [3, 4], "tv-weight": [0.1, 0.2]}}, 4, [3, 3, 4, 4]),
        ({"options": {"seed": [3, 4]}, "style": ["style.png", "paint.png"]}, 4, [3, 4, 3, 4]),
        ({"options": {"seed": [3, 4]}, "style": ["style.png", "paint.png"], "combine": "zip"}, 2,
         [3, 4]),
        ({"options": {"seed": {"from": 2, "to": 10, "count": 5, "whole": True}}}, 5,
         [2, 4, 6, 8, 10]),
        ({"options": {"seed": {"from": 1, "to": 100, "count": 3, "scale": "log", "whole": True}}},
         3, [1, 10, 100]),
        ({"options": {"seed": {"from": 100, "to": 1, "count": 3, "scale": "log", "whole": True}}},
         3, [100, 10, 1]),
        ({"content": "*.png", "options": {"seed": 7}}, 4, [7, 7, 7, 7]),
    ],
)  # fmt: skip
def test_points(describe, change, count, values):
    points = make_spec(describe(**change)).points()
    assert len(points) == count
    assert [point.options["seed"] for point in points] == values


def test_random_points(describe):
    options = {
        "style-weight": {"low": 0.1, "high": 10.0, "scale": "log"},
        "seed": {"low": 0, "high": 1000, "whole": True},
        "init": ["content", "noise"],
    }
    spec = make_spec(describe(options=options, combine="random", count=200, seed=1))
    points = spec.points()
    assert points == spec.points()
    weights = np.array([point.options["style-weight"] for point in points])
    assert weights.min() >= 0.1
    assert weights.max() <= 10
    assert 0.35 < np.mean(weights < 1) < 0.65, "half of the draws below the geometric mean"
    assert {point.options["init"] for point in points} == {"content", "noise"}
    assert all(isinstance(point.options["seed"], int) for point in points)
    other = make_spec(describe(options=options, combine="random", count=200, seed=2))
    assert other.points() != points
    drawn = {"tv-weight": {"low": 0.0, "high": 1.0, "count": 4}}
    grid = make_spec(describe(options=drawn)).points()
    assert len({point.options["tv-weight"] for point in grid}) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": []}, "content should be a file"),
        ({"content": "none*.png"}, "no pictures there"),
        ({"styles": "a.png"}, "the sweep has no 'styles'; valid: content, style"),
        ({"combine": "all"}, "unknown combine 'all'; valid: grid, zip, random"),
        ({"combine": "random"}, "needs count, the number of jobs"),
        ({"count": 3}, 'count is for combine = "random"'),
        ({"seed": -1}, "seed should be"),
        (
            {"options": {"style-wait": 1}},
            "unknown option 'style-wait'; valid: color, content-layers",
        ),
        ({"options": {"steps": [10, 0]}}, "--steps: should be a whole number"),
        ({"options": {"steps": []}}, "steps has no values"),
        ({"options": {"tv-weight": {"from": 0, "to": 1}}}, "tv-weight needs count"),
        ({"options": {"tv-weight": {"from": 0, "count": 3}}}, "needs from and to, both numbers"),
        ({"options": {"tv-weight": {"from": 0, "to": 1, "count": 3, "scale": "log"}}}, "greater"),
        ({"options": {"tv-weight": {"low": 0, "to": 1}}}, "has no 'to'; valid: low, high"),
        ({"combine": "zip", "options": {"seed": [1, 2], "steps": [1, 2, 3]}}, "as many values of"),
        ({"output": "elsewhere"}, "the sweep has no 'output'"),
    ],
)
def test_wrong_descriptions_are_refused(describe, change, message):
    with pytest.raises(ValueError, match=message):
        make_spec(describe(**change))


def test_a_sweep_is_made_once_and_then_only_what_is_missing(describe, folder):
    description = describe(
        style=["style.png", "paint.png"], options={"style-weight": [0.1, 10], "seed": [0, 1]}
    )
    assert run_sweep(description, "out", quiet=True) == (8, 0, 0, 8)
    first = files_of(folder / "out")
    entries = manifest.read(folder / "out/manifest.jsonl")
    assert len(entries) == 8
    for entry in entries.values():
        assert entry["status"] == "done"
        assert entry["evaluations"] == 4
        assert read_settings(folder / "out" / entry["file"])["options"] == entry["options"]
    assert run_sweep(description, "out", quiet=True) == (8, 0, 0, 0)
    assert files_of(folder / "out") == first
    victim = next(iter(entries))
    lines = (folder / "out/manifest.jsonl").read_text().splitlines(keepends=True)
    (folder / "out/manifest.jsonl").write_text("".join(x for x in lines if victim not in x))
    (folder / "out" / entries[victim]["file"]).unlink()
    assert run_sweep(description, "out", quiet=True) == (8, 0, 0, 1)
    assert files_of(folder / "out") == first
    (folder / "out" / entries[victim]["file"]).unlink()  # gone, though it was done
    assert run_sweep(description, "out", quiet=True).made == 1
    assert files_of(folder / "out") == first


def test_each_job_is_the_picture_that_the_command_makes(describe, folder, network):
    run_sweep(describe(options={"style-weight": [0.5], "seed": [9], "init": "noise"}), "out",
              quiet=True)  # fmt: skip
    [entry] = manifest.read(folder / "out/manifest.jsonl").values()
    line = "stylize content.png style.png -o alone.png --style-weight 0.5 --seed 9 --init noise "
    line += "--size 32 --steps 3 --content-layers relu2_1 --style-layers relu1_1 --quiet"
    assert main([*line.split(), "--network", str(network)]) == 0
    assert Path("alone.png").read_bytes() == (folder / "out" / entry["file"]).read_bytes()


@pytest.fixture
def compilations():
    names = []

    def listen(event, duration, **facts):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(facts.get("fun_name", ""))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def test_64_points_of_traced_options_compile_once(describe, compilations):
    weights = {"from": 0.01, "to": 100, "count": 8, "scale": "log"}
    options = {"style-weight": weights, "seed": list(range(8)), "init": "noise", "steps": 1}
    jax.clear_caches()
    assert run_sweep(describe(options=options), "out", quiet=True).made == 64
    assert len([name for name in compilations if "_advance" in name]) == 1, compilations
    assert len([name for name in compilations if "_start" in name]) == 1


def test_static_options_compile_once_each(describe, compilations):
    options = {"pooling": ["max", "average"], "style-weight": [1, 2, 3]}
    jax.clear_caches()
    run_sweep(describe(options=options), "out", quiet=True)
    assert len([name for name in compilations if "_advance" in name]) == 2


def test_learning_rates_are_traced(describe, compilations, folder):
    options = {"solver": "adam", "learning-rate": [0.01, 0.02, 0.03]}
    jax.clear_caches()
    run_sweep(describe(options=options), "out", quiet=True)
    assert len([name for name in compilations if "_advance" in name]) == 1
    losses = [e["loss"] for e in manifest.read(folder / "out/manifest.jsonl").values()]
    assert len(set(losses)) == 3


def test_failures_are_recorded_and_do_not_stop_the_others(describe, folder, capsys):
    write_picture("tiny.png", 6)
    with Image.open("tiny.png") as picture:
        picture.resize((2, 2)).save("tiny.png")
    Path("text.png").write_text("no picture")
    description = describe(
        content=["content.png", "tiny.png", "text.png"],
        options={"style-weight": [1.0, 1e38], "solver": "lbfgs"},
    )
    result = run_sweep(description, "out", quiet=True)
    assert result == (1, 5, 0, 6)
    entries = list(manifest.read(folder / "out/manifest.jsonl").values())
    errors = " | ".join(entry["error"] for entry in entries if entry["error"])
    for part in ("too small", "not an image", "not finite after step"):
        assert part in errors
    assert run_sweep(description, "out", quiet=True).made == 0
    assert run_sweep(description, "out", quiet=True, retry_failed=True).made == 5
    write_picture("text.png", 7)  # another picture is another job
    assert run_sweep(description, "out", quiet=True).made == 2
    table = table_of("out/summary.csv")
    assert [row["status"] for row in table].count("done") == 2


def test_contradictory_options_fail_alone(describe, folder):
    description = describe(options={"solver": ["adam", "lbfgs"], "history": 5})
    assert run_sweep(description, "out", quiet=True) == (1, 1, 0, 2)
    errors = [e["error"] for e in manifest.read(folder / "out/manifest.jsonl").values()]
    assert "--history is not for --solver adam; leave it out" in errors


def test_shards_share_the_work(describe, folder):
    description = describe(options={"seed": list(range(7)), "init": "noise"})
    made = [run_sweep(description, "parts", quiet=True, shard=(i, 3)).made for i in range(3)]
    assert made == [3, 2, 2]
    run_sweep(description, "whole", quiet=True)
    assert files_of(folder / "parts") == files_of(folder / "whole")


def test_wide_batches_are_made_again_as_they_were(describe, folder):
    description = describe(options={"seed": list(range(5)), "init": "noise"})
    run_sweep(description, "out", quiet=True, width=2)
    first = files_of(folder / "out")
    lines = (folder / "out/manifest.jsonl").read_text().splitlines(keepends=True)
    (folder / "out/manifest.jsonl").write_text("".join(lines[:3]) + lines[3][:50])
    for path in (folder / "out/pictures").iterdir():
        path.unlink()
    for line in lines[:3]:
        name = json.loads(line)["file"]
        (folder / "out" / name).write_bytes(first[name])
    assert run_sweep(description, "out", quiet=True).made == 2
    assert files_of(folder / "out") == first


def test_batches_and_networks_do_not_change_under_way(describe, folder, network):
    description = describe(options={"seed": list(range(4)), "init": "noise"})
    run_sweep(description, "out", quiet=True, width=2, shard=(0, 2))
    with pytest.raises(ValueError, match="begun with width 2"):
        run_sweep(description, "out", quiet=True, width=3)
    programs = folder / "out/programs.json"
    programs.write_text(programs.read_text().replace('"net ', '"another '))
    with pytest.raises(ValueError, match="begun with the network another"):
        run_sweep(description, "out", quiet=True)


def test_an_interrupted_sweep_says_so_and_keeps_its_report(describe, folder, monkeypatch):
    keep, count = manifest.append, [0]

    def interrupted(path, entries):
        keep(path, entries)
        count[0] += 1
        if count[0] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "append", interrupted)
    description = describe(options={"seed": list(range(4)), "init": "noise"})
    with pytest.raises(KeyboardInterrupt, match="2 of 4 jobs of out have ended; the same command"):
        run_sweep(description, "out", quiet=True, width=1)
    assert len(table_of("out/summary.csv")) == 2


def test_what_people_look_at(describe, folder):
    description = describe(
        style=["style.png", "paint.png"],
        options={"style-weight": [0.1, 1, 10], "seed": [0, 1], "init": "noise"},
    )
    run_sweep(description, "out", quiet=True)
    with Image.open("out/contact_sheet.png") as sheet:
        assert sheet.size[0] == 8 + 3 * 200
        assert sheet.size[1] > 4 * 40
        assert len(sheet.getcolors(1 << 24)) > 100
    table = table_of("out/summary.csv")
    assert [row["style"] for row in table] == ["style"] * 6 + ["paint"] * 6
    assert {row["style-weight"] for row in table} == {"0.1", "1.0", "10.0"}
    assert all(float(row["loss"]) > 0 for row in table)
    assert [row["steps"] for row in table] == ["3"] * 12
    many = describe(options={"seed": list(range(25)), "tv-weight": [0, 1], "steps": 1})
    run_sweep(many, "many", quiet=True)
    pages = sorted(path.name for path in Path("many").glob("contact_sheet*.png"))
    assert pages == [f"contact_sheet{i}.png" for i in ("-2", "-3", "")]
    drawn = {"seed": {"low": 0, "high": 9999, "whole": True}, "tv-weight": {"low": 0, "high": 1}}
    scattered = describe(options=drawn | {"steps": 1}, combine="random", count=7)
    run_sweep(scattered, "scattered", quiet=True)
    with Image.open("scattered/contact_sheet.png") as sheet:
        assert sheet.size[0] == 8 + 5 * 200


def test_the_losses_are_plotted_where_matplotlib_is(describe):
    pytest.importorskip("matplotlib")
    run_sweep(describe(options={"seed": [0, 1], "init": "noise"}), "out", quiet=True)
    with Image.open("out/losses.png") as plot:
        assert plot.size[0] > 500


TOML = """
content = "content.png"
style = "style.png"
[options]
network = "{network}"
size = 32
steps = {steps}
init = "noise"
content-layers = "relu2_1"
style-layers = "relu1_1"
seed = {{ from = 0, to = {last}, count = {count}, whole = true }}
"""


def write_toml(network, steps=3, count=4):
    text = TOML.format(network=network, steps=steps, last=count - 1, count=count)
    Path("sweep.toml").write_text(text)


def test_the_command(folder, network, capsys):
    write_toml(network)
    assert run("sweep sweep.toml -o out --dry-run --json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["pictures"], plan["lanes"]) == (4, len(jax.local_devices()))
    assert not Path("out").exists()
    assert run("sweep sweep.toml -o out --json") == 0
    assert json.loads(capsys.readouterr().out)["done"] == 4
    assert run("sweep sweep.toml -o out") == 0
    assert "4 done, 0 failed; 0 in this run" in capsys.readouterr().out
    with Path("sweep.toml").open("a") as file:
        file.write("style-weight = [1, 1e38]\n")
    assert run("sweep sweep.toml -o out --quiet") == 1
    assert "4 failed, see out/summary.csv; --retry-failed" in capsys.readouterr().err
    # What else is wrong, in a line.
    Path("broken.toml").write_text("content = ")
    Path("unknown.toml").write_text('content = "content.png"\nstyles = "style.png"\n')
    for line, says in (
        ("sweep absent.toml -o out", "absent.toml"),
        ("sweep broken.toml -o out", "broken.toml: not TOML"),
        ("sweep unknown.toml -o out", "unknown.toml: the sweep has no 'styles'"),
        ("sweep sweep.toml -o content.png", "content.png: is a file; name a folder"),
        ("sweep sweep.toml -o absent/out", "absent"),
        ("sweep sweep.toml -o out --shard 3/3", "should be like 0/4"),
        ("sweep sweep.toml -o out --processes 2", "--processes needs --distributed"),
        ("sweep sweep.toml -o out --shard 0/2 --distributed", "exclude each other"),
    ):
        assert run(line) in (1, 2)
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1


def process(line: str) -> subprocess.Popen:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    return subprocess.Popen([sys.executable, "-m", "jaxstyle", *line.split()], env=environment)


def finished(folder: Path) -> int:
    path = folder / "manifest.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def survives(kills: int, count: int, start, network) -> None:
    """Kills a sweep at random instants, and compares what it ends with with one left alone."""
    write_toml(network, count=count)
    process("sweep sweep.toml -o alone --quiet").wait()
    rng, before = random.Random(0), 0
    for _ in range(kills):
        running = start()
        deadline = time.monotonic() + 60
        # At a random moment of its work, not of its start.
        while finished(Path("out")) <= before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.1)
        running[0].send_signal(signal.SIGKILL)
        for each in running:
            each.wait()
        after = finished(Path("out"))
        assert after > before
        before = after
        for path in Path("out/pictures").glob("*.png"):
            if not path.name.startswith("."):
                test_cli.pixels(str(path))
    for each in start():
        assert each.wait() == 0
    assert process("sweep sweep.toml -o out --quiet").wait() == 0
    assert files_of(Path("out")) == files_of(Path("alone"))
    names = [json.loads(x)["id"] for x in Path("out/manifest.jsonl").read_text().splitlines()]
    assert len(names) == len(set(names)) == count


def test_a_sweep_survives_kills(folder, network):
    survives(2, 40, lambda: [process("sweep sweep.toml -o out --quiet")], network)


@pytest.mark.slow
def test_a_sweep_of_200_survives_20_kills(folder, network):
    survives(20, 200, lambda: [process("sweep sweep.toml -o out --quiet")], network)


@pytest.mark.slow
def test_a_sweep_of_two_processes_survives_the_loss_of_one(folder, network):
    def start():
        return [process(f"sweep sweep.toml -o out --quiet --shard {i}/2") for i in range(2)]

    survives(3, 60, start, network)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_that_jax_knows(folder, network, count):
    write_toml(network, count=5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"sweep sweep.toml -o out --quiet --distributed --coordinator 127.0.0.1:{port}"
    running = [process(f"{line} --processes {count} --process-id {i}") for i in range(count)]
    assert [each.wait(timeout=300) for each in running] == [0] * count
    process("sweep sweep.toml -o alone --quiet").wait()
    assert finished(Path("out")) == 5
    assert files_of(Path("out")) == files_of(Path("alone"))
