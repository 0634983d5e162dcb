"""Sweeps in this process: what is made, what is recorded, what people look at."""

import errno
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.command_line import files_of, table_of, write_picture, write_toml
from PIL import Image

from jaxstyle.cli import main
from jaxstyle.errors import DownloadError, UsageError
from jaxstyle.image import io
from jaxstyle.image.io import read_settings
from jaxstyle.optimization.memory import MemoryPlan
from jaxstyle.pipeline import optimise, sources
from jaxstyle.sweep import make_spec, manifest, run_sweep
from jaxstyle.sweep.run import plan_sweep

pytestmark = pytest.mark.usefixtures("compile_faster")


def run(line: str) -> int:
    return main(line.split())


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
        kept = read_settings(folder / "out" / entry["file"])["options"]
        assert kept == entry["options"] | {"network": "net.safetensors"}  # without its folder
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


@pytest.mark.slow
def test_traced_options_compile_once_and_static_ones_once_each(describe, compilations):
    weights = {"from": 0.01, "to": 100, "count": 8, "scale": "log"}
    traced = {"style-weight": weights, "seed": list(range(4)), "init": "noise", "steps": 1}
    # A size of its own: no other test has compiled for it.
    options = traced | {"pooling": ["max", "average"], "size": 28}
    assert run_sweep(describe(options=options), "out", quiet=True).made == 64
    assert len([name for name in compilations if "advance" in name]) == 2, compilations
    assert not [name for name in compilations if "_start" in name]


def test_learning_rates_are_traced(describe, compilations, folder):
    options = {"solver": "adam", "learning-rate": [0.001, 0.002, 0.003], "size": 28}
    run_sweep(describe(options=options), "out", quiet=True)
    assert len([name for name in compilations if "advance" in name]) == 1
    losses = [e["loss"] for e in manifest.read(folder / "out/manifest.jsonl").values()]
    assert len(set(losses)) == 3


def test_failures_are_recorded_and_do_not_stop_the_others(describe, folder, capsys):
    write_picture("tiny.png", 6)
    with Image.open("tiny.png") as picture:
        picture.resize((2, 2)).save("tiny.png")
    Path("text.png").write_text("no picture", encoding="utf-8")
    description = describe(
        content=["content.png", "tiny.png", "text.png"],
        options={"style-weight": [1.0, 1e38]},
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


def test_a_job_that_fails_alone_leaves_its_batch_as_it_was(describe, folder):
    description = describe(style=["paint.png", "style.png"])
    assert run_sweep(description, "good", quiet=True, width=2) == (2, 0, 0, 2)
    Path("paint.png").write_text("no picture", encoding="utf-8")
    assert run_sweep(description, "bad", quiet=True, width=2) == (1, 1, 0, 2)
    failed, made = manifest.read(folder / "bad/manifest.jsonl").values()
    assert "paint.png: not an image" in failed["error"]
    good, bad = (folder / name / made["file"] for name in ("good", "bad"))
    assert good.read_bytes() == bad.read_bytes()


@pytest.mark.parametrize("first", [0, 1])
def test_what_one_process_cannot_have_is_its_own_matter(describe, folder, monkeypatch, first):
    shutil.copy(describe()["options"]["network"], "other.safetensors")
    networks = ["other.safetensors", describe()["options"]["network"]]
    options = {"network": networks, "seed": [0, 1, 2, 3]}
    description = describe(style=["style.png", "paint.png"], options=options)
    load, find = sources.load_picture, optimise.load_network

    def load_some(path, **options):
        if Path(path).name == "paint.png":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return load(path, **options)

    def find_some(name, **options):
        if name == "other.safetensors":
            raise DownloadError("no network here")
        return find(name, **options)

    for index in (first, 1 - first):
        with monkeypatch.context() as patch:
            if index == 1:
                patch.setattr(sources, "load_picture", load_some)
                patch.setattr(optimise, "load_network", find_some)
            run_sweep(description, "out", quiet=True, shard=(index, 2), width=2)
    entries = [
        json.loads(line)
        for line in Path("out/manifest.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    of_the_other = [e for e in entries if e["options"]["network"] == "other.safetensors"]
    rest = [e for e in entries if e not in of_the_other]
    # Each once, in batches of two that the two processes share.
    assert len({e["id"] for e in rest}) == len(rest) == 8
    failed = [(e["style"], e["options"]["seed"]) for e in rest if e["status"] == "failed"]
    assert failed == [("paint.png", "0"), ("paint.png", "1")]
    assert "no network here" in {e["error"] for e in of_the_other}


@pytest.mark.parametrize("shard", [(0, 1), (1, 2)])
def test_a_network_is_normalised_over_the_pictures_of_all_jobs(
    describe, folder, monkeypatch, shard
):
    given = []

    def find(name, *, images, **_):
        assert images  # which reads none
        given.append(list(images))
        assert len(images) == len(given[-1])
        raise ValueError("none of this is to be run")

    monkeypatch.setattr(optimise, "load_network", find)
    Path("text.png").write_text("no picture", encoding="utf-8")
    description = describe(
        content=["text.png", "content.png", "other.png"], style=["style.png", "paint.png"],
        options={"seed": [0, 1], "style-size": 20},
    )  # fmt: skip
    run_sweep(description, "out", quiet=True, shard=shard)
    names = {"style.png": 20, "paint.png": 20, "content.png": 32, "other.png": 32}
    [images] = given
    for image, (name, size) in zip(images, names.items(), strict=True):
        np.testing.assert_array_equal(image, io.load_image(name, size))


def test_contradictory_options_fail_alone(describe, folder):
    description = describe(options={"solver": ["adam", "lbfgs"], "history": 30})
    assert run_sweep(description, "out", quiet=True) == (1, 1, 0, 2)
    errors = [e["error"] for e in manifest.read(folder / "out/manifest.jsonl").values()]
    assert "history is not for solver adam; leave it out" in errors


def test_options_that_contradict_each_other_in_every_job_are_found_before(describe, folder):
    description = describe(options={"solver": "adam", "history": 30, "seed": [0, 1]})
    with pytest.raises(UsageError, match="no job of the sweep can run: history is not for solver"):
        run_sweep(description, "out", quiet=True)
    assert not Path("out").exists()


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


def test_a_plan_tells_what_a_run_would_do(describe, folder, monkeypatch, capsys):
    memory = MemoryPlan(0, 1)
    monkeypatch.setattr(
        optimise, "plan_memory", lambda *_, **__: memory
    )  # which compiles each time
    description = describe(
        content=["content.png", "other.png"], options={"style-weight": [1.0, 2.0, 1e38]}
    )
    spec, output = make_spec(description), folder / "out"

    def planned(**options):
        facts, errors = plan_sweep(spec, output, **options)
        return [(program["pictures"], program["lanes"]) for program in facts], errors

    assert planned(width=4) == ([(6, 3)], [])
    assert planned(width=4, shard=(1, 2)) == ([(3, 3)], [])
    assert not output.exists()
    run_sweep(spec, output, quiet=True, width=2, shard=(0, 2))
    assert planned() == ([(2, 2)], [])  # of batches as wide as those that were made
    assert planned(shard=(0, 2)) == ([], [])
    assert planned(shard=(0, 2), retry_failed=True) == ([(1, 2)], [])
    Path("other.png").unlink()
    assert planned(shard=(1, 2)) == ([(1, 2)], [])
    facts, errors = planned(shard=(0, 2))
    assert facts == []
    assert len(errors) == 3
    assert all("other.png" in error for error in errors)
    write_toml(description["options"]["network"])
    Path("content.png").unlink()
    assert run("sweep sweep.toml -o new --dry-run") == 1
    assert (
        "jaxstyle: error: 4 cannot run, the first: content.png: no such" in capsys.readouterr().err
    )


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
    with Path("sweep.toml").open("a", encoding="utf-8") as file:
        file.write("style-weight = [1, 1e38]\n")
    assert run("sweep sweep.toml -o out --quiet") == 1
    assert (
        "4 failed (the loss is not finite after step 0), see out/summary.csv"
        in capsys.readouterr().err
    )
    # What else is wrong, in a line.
    Path("broken.toml").write_text("content = ", encoding="utf-8")
    Path("unknown.toml").write_text(
        'content = "content.png"\nstyles = "style.png"\n', encoding="utf-8"
    )
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
