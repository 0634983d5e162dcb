"""Batches and their sinks: what each is told, and that one that fails costs nothing else."""

import functools
import signal
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from helpers.command_line import pixels, rows
from helpers.disks import BLOCK

from jaxstyle.pipeline.job import Batch, group, make_job
from jaxstyle.pipeline.options import check_options
from jaxstyle.pipeline.run import Interrupted, interrupted_outcomes, run_batch
from jaxstyle.pipeline.sinks import PictureFile, PicturesOnTheWay, SnapshotFile, TraceFile, WhenDone
from jaxstyle.pipeline.studio import Studio
from jaxstyle.pipeline.track import Track

pytestmark = pytest.mark.usefixtures("compile_faster", "folder")


class Watcher:
    """Notes what it is told, and fails or interrupts where it should."""

    every, needed = None, False

    def __init__(self, error=None, at=None):
        self.told, self._error, self._at = [], error, at

    def report(self, track):
        self.told.append(track.step)
        if self._error is not None and track.step == self._at:
            raise self._error

    def close(self, track):
        self.told.append("end")
        if self._error is not None and self._at == "end":
            raise self._error


@pytest.fixture
def batch(network):
    """A batch of one job or more, and its studio."""

    def make(*styles, scales=None, **options):
        given = {"network": str(network), "size": 32, "steps": 3} | options
        given |= {"content-layers": "relu2_1", "style-layers": "relu1_1"}
        jobs = [
            make_job("stylize", Path("content.png"), Path(style), Path(f"made-{style}"),
                     check_options("stylize", given))
            for style in styles or ("style.png",)
        ]  # fmt: skip
        studio = Studio(jobs)
        ((program, members),) = group(studio.shape, jobs).items()
        return studio, Batch(program, members, len(jobs))

    return make


def test_sinks_hear_of_the_start_of_each_step_and_of_the_end(batch):
    studio, jobs = batch()
    watcher = Watcher()
    (outcome,) = run_batch(studio, jobs, lambda _: [watcher])
    assert watcher.told == [0, 1, 2, 3, "end"]
    assert (outcome.error, outcome.failures) == (None, [])
    assert outcome.track.finite
    assert len(outcome.track.rows) == 4
    assert outcome.seconds > 0


def test_a_sink_that_fails_costs_neither_the_picture_nor_the_other_sinks(batch, caplog):
    studio, jobs = batch()
    full = OSError(28, "No space left on device", "film.gif")
    early, late, watcher = Watcher(full, at=1), Watcher(full, at="end"), Watcher()
    sinks = [early, late, PictureFile(studio), TraceFile(Path("t.csv")), watcher]
    (outcome,) = run_batch(studio, jobs, lambda _: sinks)
    assert pixels("made-style.png").shape == (21, 32, 3)
    assert len(rows("t.csv")) == 4
    assert watcher.told == [0, 1, 2, 3, "end"]
    assert early.told == [0, 1]  # dropped, and not asked again
    assert [(each.sink, each.error) for each in outcome.failures] == [(early, full), (late, full)]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "film.gif" in caplog.messages[0]


@pytest.mark.parametrize(("blocks", "kept"), [(1, 0), (3, 1), (5, 3)])
def test_what_is_written_on_the_way_leaves_room_for_the_picture(batch, small_disk, blocks, kept):
    folder = small_disk(blocks * BLOCK)  # each picture takes one
    studio, jobs = batch(steps=4)
    jobs = jobs._replace(jobs=[jobs.jobs[0]._replace(output=folder / "made.png")])
    way, snapshot = PicturesOnTheWay(studio, 1), SnapshotFile(folder / "s", 1, dict)
    (outcome,) = run_batch(studio, jobs, lambda _: [PictureFile(studio), way, snapshot])
    assert pixels(folder / "made.png").shape == (21, 32, 3)
    dropped = {snapshot, way} if kept < 3 else {snapshot}
    assert {failure.sink for failure in outcome.failures} == dropped
    steps = [f"made-{step:06d}.png" for step in range(1, 1 + kept)]
    assert sorted(path.name for path in folder.iterdir()) == [*steps, "made.png"]


def test_a_warning_is_no_failure_of_the_picture_itself(batch, caplog):
    studio, jobs = batch()
    full = OSError(28, "No space left on device", "made-style.png")
    picture = WhenDone(PictureFile(studio))
    studio.save = Mock(side_effect=full)
    (outcome,) = run_batch(studio, jobs, lambda _: [picture])
    assert [failure.error for failure in outcome.failures] == [full]
    assert caplog.messages == []


def test_an_interrupt_hands_the_last_picture_to_the_sinks(batch):
    studio, jobs = batch("style.png", "paint.png")
    with pytest.raises(Interrupted) as stop:
        run_batch(
            studio, jobs, lambda job: [PictureFile(studio), Watcher(KeyboardInterrupt(), at=2)]
        )
    # The second lane had heard of one step when the first one's sink was interrupted at its second.
    assert [outcome.track.step for outcome in stop.value.outcomes] == [2, 1]
    assert Path("made-style.png").exists()
    assert Path("made-paint.png").exists()


def test_a_second_interrupt_leaves_out_what_is_not_written_and_no_more(batch):
    studio, jobs = batch("style.png", "paint.png")

    def sinks_of(job):
        again = Watcher(KeyboardInterrupt(), at="end" if "style" in str(job.style) else 2)
        return [PictureFile(studio), again, TraceFile(job.output.with_suffix(".csv"))]

    with pytest.raises(Interrupted) as stop:
        run_batch(studio, jobs, sinks_of)
    kept = {outcome.job.output.name: outcome.track.kept for outcome in stop.value.outcomes}
    assert kept == {"made-style.png": True, "made-paint.png": False}
    assert sorted(path.name for path in Path().glob("made*")) == ["made-style.png"]


def test_outcomes_are_found_however_often_a_run_is_interrupted():
    def interrupted_again():
        try:
            raise Interrupted(["an outcome"])
        finally:
            raise KeyboardInterrupt  # while a progress bar is closed, say

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted_again()
    assert interrupted_outcomes(caught.value) == ["an outcome"]
    assert interrupted_outcomes(KeyboardInterrupt()) == []


@pytest.fixture
def interrupts():
    """Lets interrupts be heard, which the background jobs of a script ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_a_picture_is_written_whole_before_an_interrupt_is_heard(batch, monkeypatch):
    studio, jobs = batch()
    save = studio.save

    def save_meanwhile(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        save(*arguments, **options)

    monkeypatch.setattr(studio, "save", save_meanwhile)
    with pytest.raises(Interrupted) as stop:
        run_batch(studio, jobs, lambda _: [PictureFile(studio), TraceFile(Path("t.csv"))])
    assert stop.value.outcomes[0].track.kept
    assert Path("made-style.png").exists()


def test_what_is_only_kept_when_done_is_not_kept_before(batch):
    studio, jobs = batch()
    with pytest.raises(Interrupted):
        run_batch(
            studio,
            jobs,
            lambda _: [WhenDone(PictureFile(studio)), Watcher(KeyboardInterrupt(), at=2)],
        )
    assert not Path("made-style.png").exists()
    run_batch(studio, jobs, lambda _: [WhenDone(PictureFile(studio))])
    assert Path("made-style.png").exists()


def test_a_snapshot_goes_only_once_the_picture_is_kept(batch, monkeypatch):
    studio, jobs = batch()
    snapshot = SnapshotFile(Path("s"), 1, dict)
    full = OSError(28, "No space left on device", "made-style.png")
    with monkeypatch.context() as patch:
        patch.setattr(studio, "save", Mock(side_effect=full))
        (outcome,) = run_batch(studio, jobs, lambda _: [PictureFile(studio), snapshot])
    assert [failure.error for failure in outcome.failures] == [full]
    assert Path("s").exists()
    picture, again = PictureFile(studio), SnapshotFile(Path("s"), 1, dict)
    (outcome,) = run_batch(studio, jobs, lambda _: [picture, again])
    assert len(outcome.track.rows) == 4
    assert Path("made-style.png").exists()
    assert not Path("s").exists()


@pytest.fixture
def polished(with_shipped):
    """A batch of one picture that is polished, and its studio."""
    options = {"style": "swirls", "size": 32, "polish": 4, "strength": 50}
    job = make_job("apply", Path("content.png"), None, Path("made.png"),
                   check_options("apply", options))  # fmt: skip
    studio = Studio([job])
    ((program, members),) = group(studio.shape, [job]).items()
    return studio, Batch(program, members, 1)


def test_a_polish_goes_on_from_a_snapshot_with_the_same_bits(polished, monkeypatch):
    studio, jobs = polished
    settings = functools.partial(studio.made_by, jobs.jobs[0])
    (whole,) = run_batch(studio, jobs, lambda _: [])
    stop = [Watcher(KeyboardInterrupt(), at=2), SnapshotFile(Path("s"), 1, settings)]
    with pytest.raises(Interrupted):
        run_batch(studio, jobs, lambda _: stop)
    watcher = Watcher()
    sinks = [watcher, PictureFile(studio), SnapshotFile(Path("s"), 1, settings)]
    paint = Mock(side_effect=AssertionError("it is not painted again"))
    monkeypatch.setattr(type(jobs.jobs[0].recipe.method), "_paint", paint)
    (again,) = run_batch(studio, jobs, lambda _: sinks)
    assert watcher.told == [3, 4, "end"]
    assert (np.asarray(again.track.image) == np.asarray(whole.track.image)).all()
    assert again.track.rows == whole.track.rows
    assert not Path("s").exists()


@pytest.mark.slow
def test_a_polish_that_is_stopped_as_it_goes_on_is_its_last_picture(polished):
    studio, jobs = polished
    seen = []

    class Kept(Watcher):
        def report(self, track):
            seen.append(np.asarray(track.image))
            super().report(track)

    stop = [Kept(KeyboardInterrupt(), at=2), SnapshotFile(Path("s"), 1, dict)]
    with pytest.raises(Interrupted):
        run_batch(studio, jobs, lambda _: stop)
    found = SnapshotFile(Path("s"), 1, dict)
    steps = jobs.jobs[0].recipe.method.run(
        studio, jobs.program, jobs.jobs, 1, 1,
        resume=functools.partial(found.load, track := Track(jobs.jobs[0], 4), 1),
    )  # fmt: skip
    next(steps)
    assert track.step == 2
    assert (np.asarray(track.image) == seen[-1]).all()


def test_a_loss_that_is_never_finite_leaves_a_trace_and_no_picture(batch):
    studio, jobs = batch(**{"style-weight": 1e38})
    sinks = [WhenDone(PictureFile(studio)), WhenDone(TraceFile(Path("t.csv")))]
    (outcome,) = run_batch(studio, jobs, lambda _: sinks)
    assert not outcome.track.finite
    assert [row["step"] for row in rows("t.csv")] == [0]
    assert not Path("made-style.png").exists()


def test_an_error_of_the_method_keeps_the_last_picture_too(batch, monkeypatch):
    studio, jobs = batch()
    method = type(jobs.jobs[0].recipe.method)
    run = method.run

    def out_of_memory(self, *arguments, **options):
        for reports in run(self, *arguments, **options):
            yield reports
            if reports.step == 2:
                raise MemoryError

    monkeypatch.setattr(method, "run", out_of_memory)
    with pytest.raises(MemoryError) as caught:
        run_batch(studio, jobs, lambda _: [PictureFile(studio)])
    assert Path("made-style.png").exists()
    assert caught.value.__notes__ == ["made-style.png holds step 2 of 3"]


def test_a_job_that_cannot_be_prepared_leaves_the_others_as_they_were(batch):
    studio, jobs = batch("style.png", "paint.png", "other.png")
    run_batch(studio, jobs, lambda _: [PictureFile(studio)])
    before = {path.name: pixels(path.name) for path in Path().glob("made-*.png")}
    for name in before:
        Path(name).unlink()
    Path("paint.png").write_text("no picture", encoding="utf-8")
    studio, jobs = batch("style.png", "paint.png", "other.png")
    outcomes = run_batch(studio, jobs, lambda _: [PictureFile(studio)], tolerant=True)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "paint.png: not an image" in str(outcomes[1].error)
    for name in ("made-style.png", "made-other.png"):
        np.testing.assert_array_equal(pixels(name), before[name])
    assert not Path("made-paint.png").exists()
    with pytest.raises(ValueError, match=r"paint\.png: not an image"):
        run_batch(studio, jobs, lambda _: [])


def test_reports_come_as_often_as_a_sink_needs_them(batch):
    studio, jobs = batch(steps=6)
    watcher = Watcher()
    run_batch(studio, jobs, lambda _: [PicturesOnTheWay(studio, 4), watcher])
    assert Path("made-style-000004.png").exists()
    assert not Path("made-style-000006.png").exists()  # that one is the picture itself
    assert 4 in watcher.told
