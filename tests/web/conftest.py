"""The page in this process: a database and a folder of its own, and visitors who ask."""

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest

_NEEDED = ("django", "uvicorn", "dj_database_url")
if any(importlib.util.find_spec(name) is None for name in _NEEDED):
    collect_ignore_glob = ["test_*.py"]  # the extra `web` is not installed
else:
    _FOLDER = tempfile.TemporaryDirectory()
    # Django reads its settings once per process.
    os.environ["JAXSTYLE_WEB_DATA"] = _FOLDER.name
    os.environ["DJANGO_SETTINGS_MODULE"] = "jaxstyle.web.settings"
    # Of a database that these tests may fill and empty; see test_postgres.py.
    os.environ["DATABASE_URL"] = os.environ.get("JAXSTYLE_TEST_DATABASE_URL", "")


@pytest.fixture(scope="session")
def catalogue():
    """What a worker publishes, into the database of these tests."""
    import django
    from django.core.management import call_command

    from jaxstyle.web import environment

    environment.make_folder(Path(_FOLDER.name))
    django.setup()
    call_command("migrate", verbosity=0)
    from django.db import connections

    from jaxstyle.web import publish

    yield publish.publish()
    connections.close_all()


@pytest.fixture
def page(catalogue):
    """The page without visitors."""
    from jaxstyle.web import models

    models.Visitor.objects.all().delete()
    for folder in (models.jobs(), models.uploads()):
        shutil.rmtree(folder)
        folder.mkdir()
    models.Catalogue.objects.update_or_create(id=1, defaults={"facts": catalogue})
    return Path(_FOLDER.name)


@pytest.fixture
def visitor(page):
    from helpers.web import Browser

    return Browser()


@pytest.fixture
def stranger(page):
    from helpers.web import Browser

    return Browser()


@pytest.fixture
def limited(page, settings_of_page):
    """Sets limits for one test."""
    import dataclasses

    def limit(**limits):
        settings_of_page.LIMITS = dataclasses.replace(settings_of_page.LIMITS, **limits)

    return limit


@pytest.fixture
def settings_of_page(page):
    """Django's settings, which are what they were again after the test."""
    from django.conf import settings

    before = {name: getattr(settings, name) for name in ("LIMITS", "PASSWORD")}
    yield settings
    for name, value in before.items():
        setattr(settings, name, value)


@pytest.fixture
def painter(page, monkeypatch):
    """Makes pictures by the pipeline, but each of them the photograph, darker step by step."""
    import numpy as np

    from jaxstyle.pipeline.method import Reports
    from jaxstyle.pipeline.painting import Painting
    from jaxstyle.pipeline.painting_reports import _unjudged
    from jaxstyle.web import reception, worker

    during = []

    def run(self, studio, program, jobs, width, every, **_):
        photograph = np.asarray(studio.sources.load(jobs[0].content, jobs[0].size).image)
        for step in range(1, self.num_steps + 1):
            info = _unjudged(True)
            yield Reports(step, {0: photograph / (step + 1)}, {0: info})
            for each in during:
                each(step)

    monkeypatch.setattr(Painting, "run", run)
    made = worker.Worker("test")

    class Painter:
        between_steps = during
        process = made

        @staticmethod
        def work():
            reception.receive()
            while made._take_one(quick=False):
                pass

    return Painter
