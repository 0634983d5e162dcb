"""What a worker makes ready while nobody asks, and what it says of a program that is not ready."""

import pytest

pytest.importorskip("django")


@pytest.fixture
def worker(page, settings_of_page):
    from jaxstyle.web.worker import Worker

    settings_of_page.WARM_SIZE = 16
    return Worker("test")


def test_an_idle_worker_makes_programs_ready_once_each(worker, monkeypatch):
    from jaxstyle.web import warming

    made = []

    class Batch:
        pass

    tiles = []
    monkeypatch.setattr(warming, "make_tile", tiles.append)
    monkeypatch.setattr(warming, "_paint", lambda *task: made.append(task) or Batch())
    monkeypatch.setattr("jaxstyle.web.painting.compiled", lambda batch: str(len(made)))
    while worker._warm():
        pass
    sizes = [(12, 16), (16, 12), (11, 16), (16, 11)]
    assert made == [(size, polish) for polish in (0, 60, 10) for size in sizes]
    assert len(worker._ready) == len(made)
    assert len(tiles) == len(set(tiles)) == 5


def test_nothing_is_made_ready_while_somebody_may_wait_or_where_it_is_not_wanted(
    worker, settings_of_page
):
    import time

    from jaxstyle.web.worker import Worker

    worker._quiet_from = time.monotonic() + 60
    assert not worker._warm()
    settings_of_page.WARM_SIZE = 0
    assert not Worker("test")._warm()


def test_what_fails_is_a_line_in_the_log_and_is_not_tried_again(worker, monkeypatch, caplog):
    from jaxstyle.web import warming

    def broken(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(warming, "_paint", broken)
    assert worker._warm()
    assert "nothing was made ready: no room" in caplog.text
    assert not worker._warm()


@pytest.mark.slow
def test_a_picture_says_that_it_is_prepared_for_unless_its_program_is_ready(worker, visitor):
    from helpers.web import picture

    from jaxstyle.web import models, queue, reception

    said = []
    told = queue.tell

    def tell(job, **facts):
        said.append(facts["preparing"])
        return told(job, **facts)

    worker._warm()
    visitor.begin()
    request = {"command": "apply", "photograph": visitor.upload(picture((16, 12))).data["id"]}
    for options in ({"size": 16}, {"size": 12}):
        visitor.send("/api/jobs", {**request, "options": options})
    reception.receive()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "tell", tell)
        while worker._take_one(quick=False):
            pass
    assert said == [False, True, False]  # the end of the first; begin and end of the second
    assert {job.state for job in models.Job.objects.all()} == {"done"}


def test_a_picture_that_waits_for_its_worker_says_so(worker, visitor):
    from helpers.web import picture

    from jaxstyle.web import reception

    visitor.begin()
    photograph = visitor.upload(picture((16, 12))).data["id"]
    asked = {"command": "apply", "photograph": photograph, "options": {"size": 16}}
    job = visitor.send("/api/jobs", asked).data
    assert job["preparing"] is False
    reception.receive(warming=lambda: True)
    found = visitor.get(f"/api/jobs/{job['id']}").data
    assert (found["state"], found["preparing"]) == ("queued", True)
