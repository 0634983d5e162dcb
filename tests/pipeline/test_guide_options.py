"""Guides as an option names them."""

import pytest

from jaxstyle.pipeline.guide_options import GuideOption, Guides


def test_guides_survive_being_written():
    text = 'a.png,target=b.png;"c;d.png",target="e,f.png",weight=2.5'
    value = Guides().parse(text)
    assert value == (GuideOption("a.png", "b.png"), GuideOption("c;d.png", "e,f.png", 2.5))
    assert Guides().parse(Guides().text(value)) == value
    assert Guides().parse_all(Guides().texts(value)) == value
    assert [file.name for file in Guides().files(value)] == [
        "a.png", "b.png", "c;d.png", "e,f.png",
    ]  # fmt: skip
    moved = Guides().relocate(value, lambda name: f"x/{name}")
    assert moved[1] == GuideOption("x/c;d.png", "x/e,f.png", 2.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.png", "should be like a.png,target=b.png"),
        ("a.png,weight=1", "should be like a.png,target=b.png"),
        ("a.png,target=b.png,weight=0", "should have a weight greater than 0, got 0"),
        ("a.png,b.png", "takes target=FILE and weight=X after a file, got 'b.png'"),
        ("a.png,target=b.png,target=c.png", "takes target=FILE and weight=X after a file"),
        ("", "should not be empty"),
    ],
)
def test_what_is_wrong_is_said(text, says):
    with pytest.raises(ValueError, match=says):
        Guides().parse(text)
