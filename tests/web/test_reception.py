"""What a worker takes in and what it removes: uploads, jobs, and visitors."""

import pytest
from helpers.web import ask

pytest.importorskip("django")


def test_one_job_that_cannot_be_taken_in_keeps_no_other_waiting(visitor, painter, monkeypatch):
    from django.db import DatabaseError

    from jaxstyle.web import reception

    wrong, right = ask(visitor).data["id"], ask(visitor).data["id"]
    accept = reception._accept

    def fail(job, warming):
        if job.pk == wrong:
            raise DatabaseError("away")
        accept(job, warming)

    monkeypatch.setattr(reception, "_accept", fail)
    painter.work()
    assert visitor.get(f"/api/jobs/{right}").data["state"] == "done"
    assert visitor.get(f"/api/jobs/{wrong}").data["state"] == "new"


def test_what_a_database_cannot_hold_is_not_in_a_message(page):
    from jaxstyle.errors import UsageError
    from jaxstyle.web import reception

    assert reception.reason(UsageError("size: \ud800\0 is none"), page) == "size: ?? is none"


def test_an_upload_that_ends_its_reader_again_and_again_is_given_up(visitor, limited):
    from jaxstyle.web import models, reception

    limited(max_claims=2)
    upload = visitor.begin().upload().data["id"]
    tries = reception.tries_of(models.Upload.objects.get().file)
    tries.write_bytes(b"..")  # as two readers that were killed leave it
    reception.receive()
    facts = visitor.get(f"/api/uploads/{upload}").data
    assert (facts["state"], facts["message"]) == (
        "refused",
        "ended its reader 2 times; take another",
    )
    assert list(models.uploads().iterdir()) == []


def test_what_other_workers_have_begun_does_not_count(visitor, limited, monkeypatch):
    from jaxstyle.web import models, reception

    limited(max_claims=2)
    upload = visitor.begin().upload().data["id"]
    for slot in range(1, 8):
        monkeypatch.setenv("JAXSTYLE_WEB_SLOT", str(slot))
        reception.tries_of(models.Upload.objects.get().file).write_bytes(b".")
    monkeypatch.setenv("JAXSTYLE_WEB_SLOT", "0")
    reception.receive()
    assert visitor.get(f"/api/uploads/{upload}").data["state"] == "ready"
    reception.tidy()
    assert models.Upload.objects.get().file.exists()


def test_what_nobody_looked_at_for_long_is_removed(visitor, stranger, painter):
    import datetime

    from django.utils import timezone

    from jaxstyle.web import models, reception

    old, new = ask(visitor).data["id"], ask(stranger).data["id"]
    painter.work()
    past = timezone.now() - datetime.timedelta(days=40)
    aged = models.Job.objects.get(pk=old).visitor_id
    models.Visitor.objects.filter(pk=aged).update(seen=past)
    models.Job.objects.filter(pk=old).update(created=past)
    models.Upload.objects.filter(visitor_id=aged).update(created=past)
    reception.tidy()
    assert list(models.Job.objects.values_list("pk", flat=True)) == [new]
    assert models.Upload.objects.count() == models.Visitor.objects.count() == 1
    assert len(list(models.jobs().iterdir())) == 2  # a young folder may be about to get a row


def test_a_visitor_who_has_left_nothing_is_forgotten_after_a_day(visitor, stranger):
    import datetime

    from django.utils import timezone

    from jaxstyle.web import models, reception

    visitor.begin().upload()
    stranger.begin()
    past = timezone.now() - datetime.timedelta(days=2)
    models.Visitor.objects.update(seen=past)
    reception.tidy()
    assert models.Visitor.objects.count() == models.Upload.objects.count() == 1
    assert stranger.get("/api/jobs").data == {"jobs": [], "more": False}
