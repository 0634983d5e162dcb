"""What the page keeps in its database: visitors, their files, and the pictures made of them.

Every name is random, so that nobody finds what is another's by guessing. Files lie in the folder of
data, under these names alone.
"""

import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone


def new_name() -> str:
    """Returns a random name: 128 bits in hexadecimal digits."""
    return secrets.token_hex(16)


class Visitor(models.Model):
    """A browser's session.

    Attributes:
      served: when a worker last took up one of its jobs; the longest ago comes next.
    """

    id = models.CharField(primary_key=True, max_length=32, default=new_name)
    seen = models.DateTimeField(default=timezone.now, db_index=True)
    served = models.DateTimeField(null=True)


class Upload(models.Model):
    """A file that a visitor has uploaded: a photograph, a painting or a mask.

    Nothing but a worker looks into it. The worker says whether it is a picture, and writes a copy
    that the page may show.
    """

    NEW, READY, REFUSED = "new", "ready", "refused"

    id = models.CharField(primary_key=True, max_length=32, default=new_name)
    visitor = models.ForeignKey(Visitor, models.CASCADE, related_name="uploads")
    created = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=8, default=NEW, db_index=True)
    message = models.TextField(default="")
    extension = models.CharField(max_length=8, default="")
    bytes = models.BigIntegerField(default=0)
    width = models.IntegerField(default=0)
    height = models.IntegerField(default=0)

    @property
    def file(self) -> Path:
        """What was uploaded."""
        return uploads() / str(self.id)

    @property
    def preview(self) -> Path:
        """A copy that may be shown."""
        return uploads() / f"{self.id}.jpg"

    def facts(self) -> dict[str, Any]:
        """Returns what its visitor is told."""
        return {
            "id": self.id,
            "state": self.state,
            "message": self.message,
            "bytes": self.bytes,
            "width": self.width,
            "height": self.height,
        }


class Job(models.Model):
    """A picture to make.

    Attributes:
      state: "new" until a worker has found that it can be made, then "queued", "running" and one of
        "done", "failed". A job that was stopped is "done": its picture is kept.
      quick: whether it takes moments, and so may come between the steps of others.
      request: what was asked for, as JSON.
      stop: whether its visitor wants no more steps.
      version: grows with every change that a visitor should see.
      frame: grows with every picture on the way.
      preparing: whether its worker makes programs ready, which takes longer than steps do.
      claim: the worker's claim, random, so that a worker can tell its own from a later one.
      bytes: what it keeps on the disk; before it has ended, the most that it will.
      worker: the name of the worker that has claimed it.
      lease: until when the claim holds without another sign of life.
      barren: claims since the last step that was done.
      sweep: what it has in common with the other pictures of a sweep.
    """

    NEW, QUEUED, RUNNING, DONE, FAILED = "new", "queued", "running", "done", "failed"
    WAITING = (NEW, QUEUED, RUNNING)

    id = models.CharField(primary_key=True, max_length=32, default=new_name)
    visitor = models.ForeignKey(Visitor, models.CASCADE, related_name="jobs")
    created = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=8, default=NEW, db_index=True)
    quick = models.BooleanField(default=False)
    command = models.CharField(max_length=16)
    request = models.JSONField(default=dict)
    stop = models.BooleanField(default=False)
    message = models.TextField(default="")
    version = models.BigIntegerField(default=1)
    step = models.IntegerField(default=0)
    steps = models.IntegerField(default=0)
    frame = models.IntegerField(default=0)
    preparing = models.BooleanField(default=False)
    seconds_left = models.FloatField(null=True)
    made = models.JSONField(default=dict)
    bytes = models.BigIntegerField(default=0)
    ended = models.DateTimeField(null=True)
    sweep = models.CharField(max_length=32, default="", db_index=True)

    claim = models.CharField(max_length=32, default="")
    worker = models.CharField(max_length=120, default="")
    lease = models.DateTimeField(null=True)
    barren = models.IntegerField(default=0)

    class Meta:
        """Its indices."""

        indexes = (models.Index(fields=["visitor", "created"], name="page_job_gallery"),)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return jobs() / str(self.id)

    def facts(self) -> dict[str, Any]:
        """Returns what its visitor is told."""
        return {
            "id": self.id,
            "state": self.state,
            "stopped": self.stop,
            "message": self.message,
            "version": self.version,
            "command": self.command,
            "request": self.request,
            "step": self.step,
            "steps": self.steps,
            "frame": self.frame,
            "preparing": self.preparing,
            "seconds_left": self.seconds_left,
            "made": self.made,
            "sweep": self.sweep or None,
            "created": self.created.isoformat(),
        }


class Gate(models.Model):
    """A single row, which who takes room in the queue or on the disk has locked meanwhile."""

    id = models.IntegerField(primary_key=True, default=1)


class Catalogue(models.Model):
    """What can be asked for, as the worker publishes it: the tables of options, and the styles."""

    id = models.IntegerField(primary_key=True, default=1)
    facts = models.JSONField(default=dict)


def uploads() -> Path:
    """Returns the folder of what was uploaded."""
    return Path(settings.DATA) / "uploads"


def jobs() -> Path:
    """Returns the folder of what is made."""
    return Path(settings.DATA) / "jobs"


def styles() -> Path:
    """Returns the folder of the pictures of the styles that come with the package."""
    return Path(settings.DATA) / "styles"
