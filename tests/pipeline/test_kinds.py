"""The kinds of option values: read from text and from TOML's types, written, and refused."""

import functools
import itertools
import math

import pytest

from jaxstyle.pipeline import file_options, kinds
from jaxstyle.pipeline.file_options import RegionOption, Share

WHOLE, HALF_OPEN = kinds.whole(1, 100), kinds.POSITIVE


@pytest.mark.parametrize(
    ("kind", "text", "value", "written"),
    [
        (kinds.Kind(), "anything at all", "anything at all", None),
        (kinds.Choice(("a", "b")), "b", "b", None),
        (WHOLE, "7", 7, None),
        (HALF_OPEN, "1e-3", 0.001, "0.001"),
        (kinds.Layer(), "relu4_2", "relu4_2", None),
        (kinds.Levels(), "4=.5, 2", {4: 0.5, 2: 1.0}, "4=0.5,2=1"),
        (kinds.Layers(), "relu1_1, pool2=.1", {"relu1_1": 1.0, "pool2": 0.1},
         "relu1_1=1,pool2=0.1"),
        (kinds.Shares(), "night=.7, a=b=1", {"night": 0.7, "a=b": 1.0}, "night=0.7,a=b=1"),
        (kinds.Names(), "waves, night", ("waves", "night"), "waves,night"),
        (kinds.WidthAndHeight(), "640X480", (480, 640), "640x480"),
        (kinds.Counts(), "500, 200", (500, 200), "500,200"),
        (kinds.Counts(rising=True, names=("auto",)), "auto", "auto", None),
        (kinds.Shard(), "0/4", (0, 4), None),
        (
            file_options.Mix(),
            "a b.jpg=0.25; =.jpg=0.5",
            (Share(None, 0.25), Share("a b.jpg", 0.25), Share("=.jpg", 0.5)),
            "a b.jpg=0.25;=.jpg=0.5",
        ),
        (
            file_options.Mix(),
            '"a;b.jpg"=0.25; "12"" wide.jpg"=0.5',
            (Share(None, 0.25), Share("a;b.jpg", 0.25), Share('12" wide.jpg', 0.5)),
            '"a;b.jpg"=0.25;"12"" wide.jpg"=0.5',
        ),
        (
            file_options.Regions(),
            '"a=b;c.png", style="x,y.png"; rest, style-mask="; .png"',
            (RegionOption("a=b;c.png", "x,y.png"), RegionOption("rest", style_mask="; .png")),
            '"a=b;c.png",style="x,y.png";rest,style-mask="; .png"',
        ),
        (
            file_options.Regions(),
            "sky.png, style=wave.jpg, weight=2 ; rest,style-mask=foam.png",
            (RegionOption("sky.png", "wave.jpg", weight=2.0),
             RegionOption("rest", style_mask="foam.png")),
            "sky.png,style=wave.jpg,weight=2;rest,style-mask=foam.png",
        ),
    ],
)  # fmt: skip
def test_text_becomes_a_value_and_text_again(kind, text, value, written):
    assert kind.parse(text) == kind.check(text) == value
    assert kind.text(value) == (text if written is None else written)
    assert kind.parse(kind.text(value)) == value


@pytest.mark.parametrize(
    ("texts", "shares"),
    [
        (["a.jpg=0.3"], {None: 0.7, "a.jpg": 0.3}),
        (["a.jpg=0.3", "b.jpg=0.2"], {None: 0.5, "a.jpg": 0.3, "b.jpg": 0.2}),
        (["a.jpg"], {None: 0.5, "a.jpg": 0.5}),
        (["a.jpg", "b.jpg", "c.jpg"], dict.fromkeys((None, "a.jpg", "b.jpg", "c.jpg"), 0.25)),
        (["a.jpg=0.5", "b.jpg"], {None: 0.25, "a.jpg": 0.5, "b.jpg": 0.25}),
        # A name needs no quotes, whatever is in it.
        (["a;b.jpg=0.5"], {None: 0.5, "a;b.jpg": 0.5}),
        (["a;b.jpg"], {None: 0.5, "a;b.jpg": 0.5}),
        (['12" wide, 3=4.jpg=0.5'], {None: 0.5, '12" wide, 3=4.jpg': 0.5}),
        ([" a .jpg=0.25", "a;b=0.25"], {None: 0.5, " a .jpg": 0.25, "a;b": 0.25}),
        # The form of one text.
        (["a.jpg=0.3; b.jpg=0.2"], {None: 0.5, "a.jpg": 0.3, "b.jpg": 0.2}),
        (["a.jpg=0.5;b.jpg"], {None: 0.25, "a.jpg": 0.5, "b.jpg": 0.25}),
        (['"a;b.jpg"=0.5'], {None: 0.5, "a;b.jpg": 0.5}),
        (['"a=0.1;b"=0.5'], {None: 0.5, "a=0.1;b": 0.5}),
    ],
)
def test_paintings_are_mixed_by_names_that_need_no_quotes(texts, shares):
    mix = file_options.Mix()
    value = mix.parse_all(texts)
    assert dict(value) == pytest.approx(shares)
    assert mix.parse(mix.text(value)) == value
    assert mix.parse_all(mix.texts(value)) == value


def test_shares_of_a_table():
    assert file_options.Mix().check({"a;b.jpg": 0.25, "c=d": 0}) == (
        Share(None, 0.75), Share("a;b.jpg", 0.25), Share("c=d", 0.0),
    )  # fmt: skip


def test_every_name_of_a_file_survives_being_stored():
    mix, regions = file_options.Mix(), file_options.Regions()
    for length in (1, 2, 3, 4):
        for name in map("".join, itertools.product('a ;,="', repeat=length)):
            shares = (Share(None, 0.25), Share(name, 0.25), Share("b", 0.5))
            assert mix.parse(mix.text(shares)) == shares
            marked = (RegionOption(name, name, name, 2.0), RegionOption("rest", style_mask=name))
            assert regions.parse(regions.text(marked)) == marked


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (WHOLE, 7, 7),
        (HALF_OPEN, 3, 3.0),
        (HALF_OPEN, 0.1, 0.1),
        (kinds.Flag(), True, True),
        (kinds.Levels(), {"3": 1, 2: 0.5}, {3: 1.0, 2: 0.5}),
        (kinds.Layers(), {"relu1_1": 1, "relu2_1": 0.5}, {"relu1_1": 1.0, "relu2_1": 0.5}),
        (kinds.Shares(), {"night": 1, "waves": 0.5}, {"night": 1.0, "waves": 0.5}),
        (kinds.Counts(rising=True), [128, 256], (128, 256)),
        (kinds.Counts(), 300, (300,)),
    ],
)
def test_values_of_toml(kind, given, value):
    checked = kind.check(given)
    assert checked == value
    assert type(checked) is type(value)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (kinds.Kind(), 3, "should be text, got 3"),
        (kinds.Kind(), "", "should not be empty"),
        (kinds.FileName(names=("noise",)), "", "should not be empty"),
        (kinds.FileName(), "a\0b", "should hold no NUL"),
        (file_options.Mix(), "", "should not be empty"),
        (file_options.Mix(), '""=0.5', "should be like wave.jpg=0.5"),
        (
            file_options.Mix(),
            "wave.jpg=much",
            "should be like wave.jpg=0.5, .* got 'wave.jpg=much'",
        ),
        (file_options.Mix(), "a=0.5;", "should be like wave.jpg=0.5"),
        (file_options.Mix(), "a=0.5;b=2", "should be like wave.jpg=0.5"),
        (file_options.Mix(), "a=0.6;b=0.6", "should have shares that sum to at most 1, got 1.2"),
        (file_options.Mix(), "a=1;b", "leaves no share for 'b'; give smaller shares"),
        (file_options.Mix(), {"a.jpg": 2}, "should be a number from 0 to 1, got 2"),
        (file_options.Mix(), {"a.jpg": 0.6, "b.jpg": 0.6}, "sum to at most 1, got 1.2"),
        (file_options.Regions(), '"";rest', "should begin each region with its mask's file"),
        (kinds.Choice(("a", "b")), "c" * 10**6, r"should be one of a, b, got 'c+\.\.\.c+'$"),
        (WHOLE, functools.reduce(lambda inside, _: [inside], range(10**4)), r"got \[\[\["),
        (kinds.Choice(("a", "b")), "c", "should be one of a, b, got 'c'"),
        (WHOLE, "0", "should be a whole number from 1 to 100, got 0"),
        (WHOLE, "1.5", "should be a whole number from 1 to 100, got 1.5"),
        (WHOLE, 1.5, "should be a whole number from 1 to 100, got 1.5"),
        (WHOLE, True, "should be a whole number from 1 to 100, got True"),
        (WHOLE, [1], r"should be a whole number from 1 to 100, got \[1\]"),
        (HALF_OPEN, 0, "should be a number greater than 0, got 0"),
        (HALF_OPEN, 10**400, "should be a number greater than 0, got a number too large"),
        (WHOLE, 10**400, "should be a whole number from 1 to 100, got 1000"),
        (WHOLE, "9" * 400, "should be a whole number from 1 to 100, got 9999"),
        (kinds.Number(most=100, above=True), 101, "greater than 0 and at most 100, got 101"),
        (kinds.Counts(), [], "should be one whole number or more, got none"),
        (kinds.WidthAndHeight(), "9" * 400 + "x9", "should be like 640x480"),
        (HALF_OPEN, math.nan, "should be a number greater than 0, got nan"),
        (kinds.NOT_NEGATIVE, math.inf, "should be a number of at least 0, got inf"),
        (kinds.Flag(), "yes", "should be true or false, got 'yes'"),
        (kinds.Layer(), "relu9_9", "unknown layer relu9_9; valid layers: conv1_1"),
        (kinds.Levels(), "5,4", "should be a whole number from 1 to 4, got 5"),
        (kinds.Levels(), "4,4=0.5", "names level 4 twice"),
        (kinds.Levels(), "4=2", "should be a number from 0 to 1, got 2"),
        (kinds.Levels(), {}, "should be one level or more, from 4 to 1, got none"),
        (kinds.Layers(), "relu1_1,relu1_1=2", "names relu1_1 twice"),
        (kinds.Layers(), {"relu1_1": -1}, "should be a number of at least 0, got -1"),
        (kinds.Layers(), {"relu9_9": 1}, "unknown layer relu9_9"),
        (kinds.Layers(), 7, "should be text, got 7"),
        (kinds.Shares(), "night", "should be like waves=0.3,night=0.7, got 'night'"),
        (kinds.Shares(), "a=1,a=2", "names a twice"),
        (kinds.Shares(), "a=0,b=0", "should have a share greater than 0"),
        (kinds.Shares(), {"a": -1}, "should be a number of at least 0, got -1"),
        (kinds.Names(), "a,a", "names one twice"),
        (kinds.Names(), "a,,b", "should not be empty"),
        (kinds.WidthAndHeight(), "0x9", "should be like 640x480, got 0x9"),
        (kinds.Counts(rising=True), "256,128", "should be numbers that rise, got 256, 128"),
        (kinds.Counts(), "1,,2", "should be a whole number from 1 to 1000000000, got "),
        (kinds.Shard(), "4/4", "should be like 0/4"),
    ],
)
def test_wrong_values_complete_a_sentence(kind, given, says):
    with pytest.raises(ValueError, match=says):
        kind.check(given)


def test_files_are_named_with_their_roles_and_renamed():
    regions = file_options.Regions()
    value = regions.parse("sky.png,style=wave.jpg,style-mask=foam.png;rest,style=scream.jpg")
    assert [tuple(file) for file in regions.files(value)] == [
        ("style", "wave.jpg"), ("mask", "sky.png"), ("mask", "foam.png"), ("style", "scream.jpg"),
    ]  # fmt: skip
    moved = regions.relocate(value, "there/{}".format)
    assert regions.text(moved) == (
        "there/sky.png,style=there/wave.jpg,style-mask=there/foam.png;rest,style=there/scream.jpg"
    )
    mix = file_options.Mix()
    assert mix.text(mix.relocate(mix.parse("a.jpg=0.5"), "there/{}".format)) == "there/a.jpg=0.5"
    keep = kinds.FileName(role="mask")
    assert [tuple(file) for file in keep.files("m.png")] == [("mask", "m.png")]
    assert keep.relocate("m.png", "there/{}".format) == "there/m.png"
    assert list(WHOLE.files(3)) == []
    start = kinds.FileName(names=("noise",))
    assert list(start.files("noise")) == []
    assert start.relocate("noise", "there/{}".format) == "noise"
    assert WHOLE.relocate(3, "there/{}".format) == 3
