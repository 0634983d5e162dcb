"""Room in the queue and on the disk: of many who take it at once, none gets more than there is."""

import threading

import pytest

pytest.importorskip("django")

MANY = 12


def at_once(*takers):
    """Lets everybody take room at the same moment; returns who was refused, and why."""
    from django.db import connection

    from jaxstyle.web.refusals import Refusal

    refused, start = [], threading.Barrier(len(takers))

    def run(take):
        start.wait()
        try:
            take()
        except Refusal as refusal:
            refused.append((refusal.status, refusal.message))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(take,)) for take in takers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


@pytest.fixture
def ann(page):
    from jaxstyle.web.models import Visitor

    return Visitor.objects.create()


def asks(visitor, count=1):
    from jaxstyle.web import room
    from jaxstyle.web.models import Job

    return lambda: room.take_for_jobs(
        visitor, [Job(visitor=visitor, command="apply") for _ in range(count)]
    )


def test_no_visitor_has_more_waiting_than_the_limit(ann, limited):
    from jaxstyle.web.models import Job

    limited(max_queue_each=5)
    refused = at_once(*[asks(ann)] * MANY)
    assert Job.objects.count() == 5
    assert refused == [(429, "5 pictures of yours wait already; stop one, or wait")] * (MANY - 5)


def test_no_more_wait_than_the_limit_and_a_sweep_comes_whole_or_not(page, limited):
    from jaxstyle.web.models import Job, Visitor

    limited(max_queue=10)
    refused = at_once(*[asks(Visitor.objects.create(), 3) for _ in range(MANY)])
    assert Job.objects.count() == 9
    assert {status for status, _ in refused} == {503}
    assert len(refused) == MANY - 3


@pytest.mark.parametrize("limit", ["max_disk_each_mb", "max_disk_mb"])
def test_no_more_is_kept_than_the_limit(ann, limited, limit):
    from django.db.models import Sum

    from jaxstyle.web import room
    from jaxstyle.web.models import Upload

    limited(**{limit: 1.0})

    def upload():
        return room.take_for_upload(Upload(visitor=ann, bytes=300_000))

    refused = at_once(*[upload] * MANY)
    assert Upload.objects.aggregate(total=Sum("bytes"))["total"] == 900_000
    assert {status for status, _ in refused} == {507}


def test_a_picture_that_waits_has_room_for_all_that_it_will_write(ann, limited):
    from jaxstyle.web import room
    from jaxstyle.web.models import Job

    size = room.bytes_of((300, 400), 50_000)
    limited(max_disk_each_mb=2.5 * size / 1e6)
    jobs = [Job.objects.create(visitor=ann, command="apply") for _ in range(MANY)]
    refused = at_once(*[lambda job=job: room.accept(job, size) for job in jobs])
    assert Job.objects.filter(state=Job.QUEUED, bytes=size).count() == 2
    assert len(refused) == MANY - 2
    assert not room.accept(Job.objects.filter(state=Job.QUEUED).first(), 0)


def test_noise_takes_no_more_than_was_kept_for_it(tmp_path):
    import numpy as np

    from jaxstyle.image import io
    from jaxstyle.web import room

    image = np.random.default_rng(0).random((90, 120, 4), np.float32)
    rgb, alpha = image[..., :3], image[..., 3]
    io.save_image(tmp_path / "picture.png", rgb, alpha=alpha)
    io.save_image(tmp_path / "picture-16.png", rgb, alpha=alpha, bit_depth=16)
    io.save_image(tmp_path / "picture.jpg", rgb, quality=95)
    io.save_image(tmp_path / "before.jpg", rgb, quality=95)
    assert room.folder_bytes(tmp_path) <= room.bytes_of((90, 120), 0) - 2**16
