import datetime
import threading

import pytest

pytest.importorskip("django")


@pytest.fixture
def make(page):
    """Makes jobs that wait, for visitors by name."""
    from jaxstyle.web.models import Job, Visitor

    visitors = {}

    def make_one(visitor="ann", **facts):
        if visitor not in visitors:
            visitors[visitor] = Visitor.objects.create()
        facts = {"state": Job.QUEUED, "command": "stylize", **facts}
        return Job.objects.create(visitor=visitors[visitor], **facts)

    return make_one


def order(count):
    from jaxstyle.web import queue
    from jaxstyle.web.models import Job

    claimed = [queue.claim("w") for _ in range(count)]
    for job in claimed:
        queue.finish(job, Job.DONE)
    return claimed


def test_visitors_take_turns(make):
    a1, a2, a3 = (make("ann") for _ in range(3))
    b1 = make("ben")
    c1, c2 = make("cleo"), make("cleo")
    assert order(6) == [a1, b1, c1, a2, c2, a3]


def test_quick_jobs_come_first_and_can_be_asked_for_alone(make):
    from jaxstyle.web import queue

    slow, quick = make("ann"), make("ben", quick=True)
    assert queue.claim("w", quick=True) == quick
    assert queue.claim("w", quick=True) is None
    assert queue.claim("w") == slow
    assert queue.claim("w") is None


def test_many_workers_claim_each_job_once(make):
    from django.db import connection

    from jaxstyle.web import queue

    jobs = {make(f"visitor {i % 5}").pk for i in range(20)}
    claimed, start = [], threading.Barrier(4)

    def work(name):
        start.wait()
        while job := queue.claim(name):
            claimed.append(job.pk)
        connection.close()

    workers = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert sorted(claimed) == sorted(jobs)


def test_a_claim_ends_with_its_lease_and_only_the_later_one_counts(make):
    from django.utils import timezone

    from jaxstyle.web import queue
    from jaxstyle.web.models import Job

    job = make()
    first = queue.claim("a")
    assert queue.claim("b") is None
    Job.objects.update(lease=timezone.now() - datetime.timedelta(seconds=1))
    second = queue.claim("b")
    assert second == first == job
    assert second.claim != first.claim
    assert queue.renew(first) is None
    assert not queue.tell(first, step=3)
    assert not queue.finish(first, Job.DONE)
    assert queue.finish(second, Job.DONE, step=5)
    assert not queue.finish(second, Job.FAILED)
    job.refresh_from_db()
    assert (job.state, job.step, job.barren) == ("done", 5, 0)


def test_a_renewed_claim_holds(make):
    from django.utils import timezone

    from jaxstyle.web import queue
    from jaxstyle.web.models import Job

    make()
    job = queue.claim("a")
    Job.objects.update(lease=timezone.now() - datetime.timedelta(seconds=1))
    assert queue.renew(job) is False
    assert queue.claim("b") is None


def test_a_successor_takes_up_what_its_name_has_left_and_nothing_else(make):
    from jaxstyle.web import queue

    make(), make()
    mine, others = queue.claim("host-0"), queue.claim("host-1")
    assert queue.give_back_all("host-0") == 1
    assert queue.claim("host-0") == mine
    assert queue.renew(others) is False


def test_claims_without_a_step_are_counted(make):
    from jaxstyle.web import queue

    make()
    for count in (1, 2, 3):
        assert queue.claim("w").barren == count
        queue.give_back_all("w")  # it was killed
    queue.tell(queue.claim("w"), step=1)
    queue.give_back_all("w")
    assert queue.claim("w").barren == 1


def test_a_job_that_was_given_back_did_not_end_its_worker(make):
    from jaxstyle.web import queue

    make()
    queue.give_back(queue.claim("w"))
    assert queue.claim("w").barren == 1


def test_others_wait_means_other_visitors(make):
    from jaxstyle.web import queue

    make("ann"), make("ann")
    job = queue.claim("w")
    assert not queue.others_wait(job)
    make("ben")
    assert queue.others_wait(job)


def test_a_job_that_has_not_begun_ends_at_once_and_one_that_has_is_asked_to(make):
    from jaxstyle.web import queue

    running, waiting = make(), make()
    claimed = queue.claim("w")
    assert claimed == running
    queue.stop(waiting)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.message) == ("failed", "stopped before it began")
    queue.stop(running)
    assert queue.renew(claimed) is True
    paused = make(step=7)
    queue.stop(paused)
    paused.refresh_from_db()
    assert (paused.state, paused.stop) == ("queued", True)
