"""The table of options: consistent in itself, and the one source of every way in."""

import itertools
from typing import get_args

import pytest

from jaxstyle.errors import OptionError, UsageError
from jaxstyle.pipeline import options
from jaxstyle.pipeline.file_options import StyleRegions
from jaxstyle.pipeline.guide_options import Guides
from jaxstyle.pipeline.kinds import Flag
from jaxstyle.pipeline.option import Group
from jaxstyle.pipeline.option_rows import PICTURES
from jaxstyle.pipeline.options import OPTIONS, check_options, option_texts, parse_options
from jaxstyle.pipeline.point_options import Points
from jaxstyle.pipeline.recipe import make_recipe

SHAPING = [
    (command, option)
    for command in (*PICTURES, "apply", "analogy")
    for option in options.picture_options(command).values()
]
# A value for each option that takes no choice, other than its default.
EXAMPLES = {
    "size": 64, "output-size": (40, 60), "layer": "pool3", "content-weight": 0.1,
    "content-layers": {"relu3_1": 0.3}, "init": "noise", "init-noise": 0.5, "seed": 9,
    "scales": (32, 64), "scale-steps": (3, 2), "tv-weight": 1.5, "range-weight": 0.0,
    "style-weight": 10.0, "style-layers": {"relu1_1": 1.0, "pool2": 1e-3}, "style-size": 30,
    "style-scale": 1.25, "fine-style": "b.png", "keep": "m.png", "network": "compact", "steps": 7,
    "strength": 0.5, "places": 2.5, "style": "night", "blend": {"night": 0.5, "waves": 1.0},
    "fast-network": "net.safetensors", "painting": "b.png", "polish": 3, "history": 5,
    "preconditioning": 0.2, "learning-rate": 0.01, "decoder": "dec.safetensors",
    "levels": {4: 0.5, 3: 1.0}, "only": "m.png", "protect": "faces", "calm": 0.5, "strokes": 0.75,
    "smooth": 2.5, "no-trim": True, "block": 9, "fidelity": 0.5, "evenness": 0.3,
    "unfiltered": "a.png", "coherence": 0.5,
}  # fmt: skip
MIXED = {"mix": "b.png=0.3;c d.png=0.2", "regions": "m.png,style=b.png,weight=0.1;rest"}


def example(option):
    if isinstance(option.kind, StyleRegions):
        return option.kind.parse("m.png,style=b c;rest,style=d")
    if isinstance(option.kind, Guides):
        return option.kind.parse("m.png,target=b.png,weight=0.5;c d.png,target=e.png")
    if isinstance(option.kind, Points):
        return option.kind.parse("0.5,0.25=0,1;1,0.125=0.5,0.5")
    if option.name in MIXED:
        return option.kind.parse(MIXED[option.name])
    return EXAMPLES[option.name] if option.choices is None else option.choices[-1]


def test_names_are_unique_within_a_command():
    for command in {command for option in OPTIONS for command in option.commands}:
        names = [option.name for option in OPTIONS if command in option.commands]
        assert len(names) == len(set(names)), command


def test_every_row_says_what_it_needs_to():
    for option in OPTIONS:
        assert option.group in get_args(Group)
        assert option.help[0].islower()
        assert not option.help.endswith(".")
        assert isinstance(option.kind, Flag) == (not option.metavar)


@pytest.mark.parametrize(("command", "option"), SHAPING)
def test_every_value_survives_being_stored(command, option):
    value = example(option)
    given = {option.name: value}
    texts = option_texts(command, given)
    assert parse_options(command, texts) == given
    assert check_options(command, texts) == given


@pytest.mark.parametrize(("command", "option"), SHAPING)
def test_every_option_is_one_of_a_recipe(command, option):
    needs = {
        "scale-steps": {"scales": (32, 64)}, "mix-by": {"mix": MIXED["mix"]},
        "guides": {"regions": MIXED["regions"]}, "history": {"solver": "lbfgs"},
        "preconditioning": {"solver": "lbfgs"}, "learning-rate": {"solver": "adam"},
    }.get(option.name, {})  # fmt: skip
    if command == "apply":
        painting = {"painting": "b.png"}
        features = painting | {"method": "adain", "decoder": "dec.safetensors"}
        pieces = painting | {"method": "quilting"}
        needs = {
            "fidelity": pieces, "seed": pieces, "block": pieces,
            "coherence": painting | {"method": "analogies"},
            "method": painting, "style-size": painting, "mix": painting, "decoder": features,
            "levels": features, "init": {"polish": 3},
        }.get(option.name, {})  # fmt: skip
    if command == "analogy":
        voting = {"method": "neighbours"}
        needs = {"block": voting, "evenness": voting}.get(option.name, {})
    if command == "texture" and option.name in ("block", "evenness"):
        needs = {"method": "quilting"}
    given = check_options(command, needs) | {option.name: example(option)}
    recipe = make_recipe(command, given)
    assert recipe.options[option.name] == given[option.name]
    assert recipe.num_steps >= 1


def test_what_is_unknown_is_refused_with_what_is_known():
    with pytest.raises(OptionError, match="'style-wait'; did you mean style-weight\\?"):
        check_options("stylize", {"style-wait": 1})
    with pytest.raises(
        OptionError, match="unknown option 'brightness'; valid: calm, color, colors, cont"
    ):
        check_options("stylize", {"brightness": 1})
    with pytest.raises(OptionError, match="unknown option 'output'; valid"):
        check_options("stylize", {"output": "elsewhere.png"})  # it shapes no picture
    with pytest.raises(OptionError, match="steps: should be a whole number from 1"):
        check_options("stylize", {"steps": "many"})


def test_a_picture_to_begin_with_is_for_a_polish():
    with pytest.raises(OptionError, match="init needs polish N beside it"):
        make_recipe("apply", {"init": "out.png"})


PAIRS = [
    ({"mix": "b.png=0.5", "fine-style": "b.png"}, "mix and fine-style exclude each other"),
    ({"style-size": 9, "style-scale": 2}, "style-size and style-scale exclude each other"),
    ({"strokes": 2, "style-scale": 2}, "strokes and style-scale exclude each other"),
    ({"strokes": 2, "style-size": 9}, "strokes and style-size exclude each other"),
    ({"smooth": 2, "tv-weight": 9}, "smooth and tv-weight exclude each other"),
    ({"strength": 2, "style-weight": 9}, "strength and style-weight exclude each other"),
    ({"colors": "photo", "color": "style"}, "colors and color exclude each other"),
    ({"keep": "m.png", "only": "m.png"}, "keep and only exclude each other"),
    ({"steps": 3, "scales": "16,32", "scale-steps": "2,1"}, "steps and scale-steps exclude"),
    ({"guides": "inside"}, "guides needs regions beside it"),
    ({"history": 3}, "history needs solver beside it"),
    ({"solver": "adam", "history": 3}, "history is not for solver adam; leave it out"),
    (
        {"pooling": "max", "precision": "bfloat16", "convolution": "winograd"},
        "convolution winograd needs precision float32",
    ),
    ({"places": 1, "statistic": "strotss"}, "places is not for statistic strotss, which matches"),
    (
        {"preset": "strotss", "mix": "b.png=0.5", "mix-by": "targets"},
        "mix-by targets is not for statistic strotss: pieces have no mean; use losses",
    ),
    ({"places": 1, "fine-style": "b.png"}, "fine-style is not for places, whose pieces have all"),
    ({"scales": "16,32", "scale-steps": "3"}, "scale-steps: 2 scales need as many numbers of"),
]


@pytest.mark.parametrize(("given", "says"), PAIRS)
def test_contradictions_name_options_as_their_users_spell_them(given, says):
    with pytest.raises(UsageError, match=says) as caught:
        make_recipe("stylize", check_options("stylize", given))
    assert "--" not in str(caught.value)
    spelled = caught.value.spelled(lambda name: f"<{name}>")
    assert all(f"<{name}>" in spelled for name in caught.value.options)


def test_no_library_message_has_a_flag():
    errors = []
    for first, second in itertools.combinations(EXAMPLES, 2):
        given = {first: EXAMPLES[first], second: EXAMPLES[second]}
        if given.keys() <= options.picture_options("stylize").keys():
            try:
                make_recipe("stylize", given)
            except UsageError as error:
                errors.append(str(error))
    assert len(errors) > 30
    assert [error for error in errors if "--" in error] == []


def test_places_and_the_content_loss_reach_the_spec():
    given = {"places": 0.5, "content-loss": "self-similarity", "statistic": "covariance"}
    spec = make_recipe("stylize", check_options("stylize", given)).method.spec
    assert (spec.places, spec.content_loss, spec.statistic) == (
        True, "self-similarity", "covariance",
    )  # fmt: skip
    assert spec.content_layers == ("relu3_1", "relu4_1")
    spec = make_recipe(
        "stylize", check_options("stylize", {**given, "content-layers": "relu2_1"})
    ).method.spec
    assert spec.content_layers == ("relu2_1",)
    assert not make_recipe("stylize", check_options("stylize", {"places": 0})).method.spec.places


def test_strotss_works_from_coarse_to_fine_unless_told_otherwise():
    method = make_recipe("stylize", check_options("stylize", {"preset": "strotss"})).method
    assert [scale.size for scale in method.scales] == [64, 128, 256, 512]
    assert [scale.num_steps for scale in method.scales] == [200, 100, 100, 100]
    given = {"preset": "strotss", "size": 100, "steps": 7}
    method = make_recipe("stylize", check_options("stylize", given)).method
    assert [tuple(scale) for scale in method.scales] == [(100, 7)]
    given = {"preset": "strotss", "scales": "32,48", "steps": 4}
    method = make_recipe("stylize", check_options("stylize", given)).method
    assert [tuple(scale) for scale in method.scales] == [(32, 4), (48, 2)]
