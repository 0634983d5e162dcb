"""`jaxstyle video`: from film to film, stopped and gone on, and what it refuses."""

import itertools
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import done, environment, write_picture
from helpers.fast_networks import draw_network
from helpers.films import bytes_of, pan, write_clip
from PIL import Image

from jaxstyle._common import locks
from jaxstyle.feedforward.files import save_network
from jaxstyle.pipeline import video_run, video_state
from jaxstyle.pipeline.video_painters import _Optimised
from jaxstyle.video.flow import write_flow

pytest.importorskip("av")
pytest.importorskip("cv2")

pytestmark = pytest.mark.usefixtures("compile_faster")

LINE = "video clip style.png -o out --content-layers relu2_1 --style-layers relu1_1"
FRAMES = pan(4)


@pytest.fixture
def film(cli, network):
    """Runs the command on a folder of four frames."""
    Path("clip").mkdir()
    for number, image in enumerate(bytes_of(FRAMES), 1):
        Image.fromarray(image).save(f"clip/{number}.png")

    def run(line=LINE, **options):
        few = {"size": 40, "first_steps": 4, "steps": 2, "network": network, "quiet": True}
        return cli(line, **{**few, **options})

    return run


def frames(folder="out"):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(Path(folder).iterdir())}


def same(one, other):
    assert one.keys() == other.keys()
    return all((one[name] == other[name]).all() for name in one)


def test_a_film_to_a_folder_of_frames(film):
    done(film())
    found = frames()
    assert list(found) == [f"00000{number}.png" for number in range(1, 5)]
    assert all(image.shape == (32, 40, 3) for image in found.values())
    assert not Path("out.reel").exists()
    done(film(LINE.replace("-o out", "-o again")))
    assert same(found, frames("again"))


def test_a_film_with_its_sound(film, cli):
    write_clip("clip.mp4", FRAMES, sound=0.4)
    ran = film(
        LINE.replace("clip", "clip.mp4").replace("-o out", "-o out.mp4"), quiet=None, json=True
    )
    facts = json.loads(ran.out)
    assert (facts["frames"], facts["painted"], facts["width"], facts["height"]) == (4, 4, 40, 32)
    assert facts["shots"] == 1
    assert set(facts["seconds"]) == {"reading", "flow", "painting", "writing"}
    import av

    with av.open("out.mp4") as made:
        assert (made.streams.video[0].frames, len(made.streams.audio)) == (4, 1)


class Stop(Exception):
    pass


@pytest.mark.parametrize(("passes", "at"), [(1, 1), (1, 3), (3, 2), (3, 6), (3, 11)])
def test_a_film_that_was_killed_goes_on_with_the_same_bits(film, monkeypatch, passes, at):
    options = {"passes": passes, "long_term": "1,2"}
    done(film(LINE.replace("-o out", "-o whole"), **options))
    painted, stops = [], [at]
    paint = _Optimised.__call__

    def watched(self, still, *arguments):
        painted.append(still.number)
        if len(painted) in stops:
            raise Stop
        return paint(self, still, *arguments)

    monkeypatch.setattr(_Optimised, "__call__", watched)
    assert film(**options).status == 1
    assert not Path("out").exists()
    before, stops[:] = len(painted), []
    done(film(**options))
    # What was made before is not made again.
    assert len(painted) - before == 4 * passes - (at - 1)
    assert same(frames(), frames("whole"))
    assert not Path("out.reel").exists()


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_instant_goes_on_with_the_same_bits(film, network):
    line = f"{LINE} --network {network} --size 40 --first-steps 4 --steps 2"
    command = [sys.executable, "-m", "jaxstyle", *line.split()]
    done(film(LINE.replace("-o out", "-o whole")))
    for seen in (1, 3):  # frames that are there when it is killed
        process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
        while process.poll() is None and not Path(f"out.reel/00000{seen}.png").exists():
            time.sleep(0.001)
        process.kill()
        process.wait()
    last = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    assert "out: 4 frames" in last.stdout
    assert list(frames()) == list(frames("whole"))
    alone = subprocess.run(
        [*command[:-6], "-o", "again", *command[-6:]], env=environment(), check=True,
        capture_output=True,
    )  # fmt: skip
    assert alone.returncode == 0
    assert same(frames(), frames("again"))
    assert not Path("out.reel").exists()


def test_ctrl_c_says_how_to_go_on(film, monkeypatch):
    paint = _Optimised.__call__

    def interrupted(self, still, *arguments):
        if still.number == 3:
            raise KeyboardInterrupt
        return paint(self, still, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(_Optimised, "__call__", interrupted)
        ran = film()
    assert ran.status == 130
    says = "interrupted; out.reel holds 2 of about 4 frames, and the same command goes on"
    assert ran.err == f"jaxstyle: {says}\n"
    done(film())


def stop_before_the_end(film, monkeypatch):
    """All frames are painted, and the film is not written."""

    def stopped(*arguments):
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(video_run, "write_film", stopped)
        assert film().status == 1


def test_two_runs_into_one_file_are_told(film, monkeypatch):
    stop_before_the_end(film, monkeypatch)
    with locks.held(Path("out.reel")) as mine:
        assert mine
        ran = film()
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "out.reel: another run paints this film; wait for it, or name another" in ran.err
    done(film())


def test_passes_keep_on_the_disk_what_they_look_at(film, monkeypatch):
    kept = []
    paint = _Optimised.__call__

    def watched(self, still, *arguments):
        kept.append(len(list(Path("out.reel").glob("*.npz"))))
        return paint(self, still, *arguments)

    monkeypatch.setattr(_Optimised, "__call__", watched)
    done(film(passes=4, long_term="1"))
    assert len(kept) == 16
    assert max(kept) <= len(FRAMES) + 1


def test_a_long_film_is_known_by_parts_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(video_state, "_PART", 16)
    path, data = tmp_path / "long.mp4", np.random.default_rng(0).bytes(5000)
    path.write_bytes(data)
    known = video_state.digest_of(path)
    for changed in (b"x" + data[1:], data[:-1] + b"x", data + b"x", data[:-1]):
        path.write_bytes(changed)
        assert video_state.digest_of(path) != known
    path.write_bytes(data)
    assert video_state.digest_of(path) == known


def test_files_that_were_half_written_are_no_hindrance(film, monkeypatch):
    done(film(LINE.replace("-o out", "-o whole")))
    stop_before_the_end(film, monkeypatch)
    Path("out.reel/000004.png").unlink()
    Path("out.reel/.jaxstyle-0123456789abcdef").write_text("half", encoding="utf-8")
    done(film())
    assert same(frames(), frames("whole"))


def test_other_settings_do_not_go_on(film, monkeypatch):
    stop_before_the_end(film, monkeypatch)
    ran = film(temporal_weight=3)
    assert ran.status == 2
    assert (
        "out.reel: was begun with other settings (temporal-weight); give the same ones" in ran.err
    )
    Path("out.reel/settings.json").write_text("{", encoding="utf-8")
    assert "out.reel: is damaged; remove it to begin again" in film().err
    shutil.rmtree("out.reel")
    Path("out.reel").mkdir()
    Path("out.reel/mine.txt").touch()
    assert "out.reel: is no film of jaxstyle's; remove or rename it" in film().err


def test_frames_are_held_to_those_before(film):
    def flicker(folder):
        moved = [image.astype(float) for image in frames(folder).values()]
        pairs = itertools.pairwise(moved)
        return np.mean([np.square(b[:, 1:] - a[:, :-1]).mean() for a, b in pairs])

    for name, weight in (("free", 0), ("held", 500)):
        done(film(LINE.replace("-o out", f"-o {name}"), temporal_weight=weight, init="noise",
                  long_term="1", steps=4))  # fmt: skip
    assert flicker("held") < 0.8 * flicker("free")


def test_flow_of_the_users_own(film):
    Path("flow").mkdir()
    for first in range(1, 5):
        for second in range(1, 5):
            flow = np.zeros((32, 40, 2), np.float32) + np.float32([second - first, 0])
            write_flow(Path(f"flow/f_{first}_{second}.flo"), flow)
    done(film(flow="flow"))
    Path("flow/f_2_3.flo").unlink()
    ran = film(LINE.replace("-o out", "-o other"), flow="flow")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "flow: has no flow from frame 2 to 3; add it" in ran.err


def test_controls_of_pictures(film):
    write_picture("mask.png", 5)
    done(film(keep="mask.png", colors="photo", strokes=1.5))
    before = frames("clip")
    for number, image in enumerate(frames().values(), 1):
        assert np.abs(image - before[f"{number}.png"].astype(float)).mean() < 90
    done(film(LINE.replace("-o out", "-o mixed"), mix="content.png=0.5", statistic="moments"))


def test_paintings_are_recoloured_after_the_first_frame(film, monkeypatch):
    done(film(LINE.replace("-o out", "-o whole"), colors="photo-recoloured"))
    paint = _Optimised.__call__

    def stopped(self, still, *arguments):
        if still.number == 3:
            raise Stop
        return paint(self, still, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(_Optimised, "__call__", stopped)
        assert film(colors="photo-recoloured").status == 1
    done(film(colors="photo-recoloured"))
    assert same(frames(), frames("whole"))


@pytest.mark.parametrize("name", ["film.gif", "film.webp"])
def test_an_animation_is_read_and_written(film, name):
    first, *rest = map(Image.fromarray, bytes_of(FRAMES))
    first.save(name, save_all=True, append_images=rest, duration=100)
    line = LINE.replace("clip", name).replace("-o out", f"-o out-{name}")
    done(film(line, mix="content.png=0.3"))
    with Image.open(f"out-{name}") as made:
        assert (made.n_frames, made.size) == (4, (40, 32))


def test_a_fast_network_paints_frame_by_frame(film, cli):
    save_network("net.safetensors", draw_network())
    line = "video clip -o out --method fast --fast-network net.safetensors --quiet --size 40"
    done(cli(line, style="style 1"))
    done(cli("apply clip/3.png -o alone.png --fast-network net.safetensors", style="style 1"))
    alone = np.asarray(Image.open("alone.png")).astype(int)
    assert np.abs(frames()["000003.png"] - alone).max() <= 2
    ran = cli(line.replace("-o out", "-o other"), passes=2)
    assert "--passes is for --method optimise; leave it out" in ran.err


def test_a_dry_run_tells_frames_memory_and_time(film):
    ran = film(dry_run=True, quiet=None)
    assert ran.status == 0, ran.err
    assert ran.out.startswith("4 frames of 40×32 pixels with ")
    assert "MiB, about " in ran.out
    assert not Path("out").exists()
    assert not Path("out.reel").exists()
    facts = json.loads(film(dry_run=True, quiet=None, json=True).out)
    assert facts["frames"] == 4
    assert facts["bytes"] > 0
    assert facts["seconds"] > 0


def test_a_preview_on_the_way(film, monkeypatch):
    write = video_run.write_film
    lengths = {}

    def watched(path, images, *rest):
        images = list(images)
        lengths[path.name] = len(images)
        write(path, images, *rest)

    monkeypatch.setattr(video_run, "write_film", watched)
    done(film(LINE.replace("-o out", "-o out.gif"), preview=3))
    assert lengths == {"out.preview.gif": 3, "out.gif": 4}


def test_a_part_of_the_film(film):
    done(film(start=0.04, end=0.12))
    assert len(frames()) == 2


REFUSED = [
    ("video none.mp4 style.png -o out.mp4", {}, "none.mp4: no such file"),
    ("video clip none.png -o out.mp4", {}, "none.png"),
    ("video clip -o out.mp4", {}, "a painting is missing: give CLIP STYLE, or use"),
    ("video clip style.png -o out.avi", {}, "out.avi: a film is a .mp4"),
    ("video clip style.png -o none/out.mp4", {}, "cannot write in none"),
    ("video clip style.png -o clip", {}, "clip: is a folder with files in it"),
    ("video style.png style.png -o out.mp4", {}, "style.png: has a single frame"),
    ("video text.mp4 style.png -o out.mp4", {}, "text.mp4: is no film, or damaged"),
    ("video clip style.png -o out", {"start": 9}, "--start 9 should come before --end 0.16"),
    ("video clip style.png -o out", {"start": 0.1, "end": 0.05}, "should come before --end 0.05"),
    ("video clip style.png -o out", {"long_term": "2,3"}, "--long-term: long_term should rise"),
    ("video clip style.png -o out", {"flow": "none"}, "--flow none: no such file or directory"),
    (
        "video clip style.png -o out",
        {"levels": "4"},
        "--levels is for --method fast, wct,",
    ),
    ("video clip style.png -o out", {"method": "wct", "steps": 3}, "--steps is for --method opt"),
    ("video clip style.png -o out", {"method": "wct", "calm": 1}, "--calm is for --method optimis"),
    (
        "video clip style.png -o out",
        {"method": "wct", "colors": "photo-recoloured"},
        "--colors photo-recoloured is for --method optimise; use painting or photo",
    ),
    (
        "video clip style.png -o a.mp4",
        {"preview": 2, "passes": 2},
        "--preview is for a film of one pass; leave --passes out",
    ),
    ("video clip style.png -o out", {"preview": 2}, "needs no film on the way; look into out.reel"),
    (
        "video old.preview.gif style.png -o old.gif",
        {"preview": 2},
        "old.preview.gif: would overwrite old.preview.gif, which is read",
    ),
    ("video clip style.png -o clip/out.mp4", {}, "clip/out.mp4: lies among the frames that are"),
    ("video clip style.png -o out", {"fps": 0}, "--fps: should be a number greater than 0"),
    ("video clip style.png -o out", {"method": "magic"}, "--method: should be one of optimise"),
]


@pytest.mark.parametrize(("line", "options", "says"), REFUSED)
def test_what_is_refused_is_said_in_a_line(film, cli, network, line, options, says):
    first, *rest = map(Image.fromarray, bytes_of(FRAMES))
    first.save("old.preview.gif", save_all=True, append_images=rest)
    Path("text.mp4").write_text("no film" * 99, encoding="utf-8")
    before = sorted(path.name for path in Path().iterdir())
    ran = cli(line, **options, network=None if "method" in options else network, quiet=True)
    assert ran.status in (1, 2)
    assert ran.err.count("\n") == 1, ran.err
    assert says in ran.err
    left = sorted(path.name for path in Path().iterdir())
    assert left == before


def test_frames_of_several_sizes(film):
    write_picture("clip/5.png", 7, size=(20, 20))
    ran = film()
    assert "5.png: has 20×20 pixels and 1.png 40×32; all frames should be of one size" in ran.err
    assert not Path("out").exists()
