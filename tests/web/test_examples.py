"""Styles of the page where a painting is needed: beside paintings of a visitor's own."""

import pytest
from helpers.web import picture

pytest.importorskip("django")


@pytest.fixture
def painted(page, monkeypatch):
    """Notes which examples are painted; each is a small picture."""
    from jaxstyle.web import examples, models

    made = []

    def paint(style, path):
        made.append(style)
        path.write_bytes(picture())

    monkeypatch.setattr(examples, "_paint", paint)
    yield made
    for path in models.styles().glob("example-*"):
        path.unlink()


@pytest.fixture
def job(visitor):
    """Asks for a picture, and returns what the page has noted of it."""
    from jaxstyle.web import models, reception

    visitor.begin()
    names = [visitor.upload(picture(seed=seed)).data["id"] for seed in range(3)]
    reception.receive()

    def ask(request):
        asked = request(*names)
        answer = visitor.send("/api/jobs", {"photograph": names[0], **asked})
        assert answer.status == 201, answer.error
        found = models.Job.objects.get(pk=answer.data["id"])
        found.folder.mkdir()
        return found

    return ask


def test_regions_have_styles_of_the_page_and_paintings(job, painted):
    from jaxstyle.web.materials import pipeline_job

    asked = job(lambda photo, painting, mask: {
        "command": "stylize", "options": {"size": 64},
        "regions": [{"mask": mask, "style": "great-wave"}, {"mask": "rest", "painting": painting}],
    })  # fmt: skip
    made = pipeline_job(asked)
    found = [(r.mask.rpartition("/")[2], r.style.rpartition("/")[2])
             for r in made.recipe.options["regions"]]  # fmt: skip
    assert found == [("mask-1.png", "style-great-wave.png"), ("rest", "region-2.png")]
    assert made.style == asked.folder / "style-great-wave.png"
    assert all(path.exists() for path in made.files)
    pipeline_job(asked)
    assert painted == ["great-wave"]  # once, however often it is looked at


def test_a_mixture_has_both(job, painted):
    from jaxstyle.web.materials import pipeline_job

    asked = job(lambda photo, painting, other: {
        "command": "apply", "painting": painting, "options": {"size": 64, "method": "quick"},
        "mix": [{"style": "the-scream", "share": 0.25}, {"painting": other, "share": 0.25}],
    })  # fmt: skip
    mix = pipeline_job(asked).recipe.options["mix"]
    assert [share.weight for share in mix] == [0.5, 0.25, 0.25]
    assert [str(share.style).rpartition("/")[2] for share in mix[1:]] == [
        "style-the-scream.png", "painting-3.png",
    ]  # fmt: skip


def test_regions_of_a_network_keep_the_names_of_its_styles(job, painted):
    from jaxstyle.web.materials import pipeline_job

    asked = job(lambda photo, painting, mask: {
        "command": "apply", "options": {"size": 64},
        "regions": [{"mask": mask, "style": "great-wave"}, {"mask": "rest", "style": "swirls"}],
    })  # fmt: skip
    regions = pipeline_job(asked).recipe.options["regions"]
    assert [region.style for region in regions] == ["great-wave", "swirls"]
    assert painted == []


def test_a_style_that_there_is_not_is_named(painted):
    from jaxstyle import samples
    from jaxstyle.errors import UsageError
    from jaxstyle.web.examples import example_of

    with pytest.raises(UsageError, match="no style is called 'nobody'; there are starry-night"):
        example_of("nobody")
    assert example_of("swirls") == samples.SWIRLS  # whose painting ships
    assert painted == []


def test_what_another_edition_has_painted_is_removed(painted):
    from jaxstyle.web import examples, models

    mine = examples.example_of("great-wave")
    other = models.styles() / "example-0123456789ab-great-wave.png"
    other.write_bytes(b"")
    examples.remove_old()
    assert mine.exists()
    assert not other.exists()


@pytest.mark.slow
def test_an_example_is_painted_by_the_network(page):
    from jaxstyle.image import io
    from jaxstyle.web import models
    from jaxstyle.web.examples import example_of, make_tile

    path = example_of("great-wave")
    assert io.read_shape(path) == (384, 512)
    assert io.read_settings(path)["options"]["style"] == "great-wave"
    make_tile("great-wave")
    assert io.read_shape(models.styles() / "great-wave.png") == (180, 240)
    path.unlink()
