import pytest

from jaxstyle.web.checking import check_request, check_value, is_quick, names_in
from jaxstyle.web.environment import Limits
from jaxstyle.web.refusals import Refusal

A, B, C = (sign * 32 for sign in "abc")


def asked(catalogue, **changes):
    request = {"command": "apply", "photograph": A, "options": {"style": "swirls", "size": 64}}
    return check_request({**request, **changes}, catalogue["commands"], Limits())


def test_a_right_request_is_returned_as_it_is(catalogue):
    request = asked(catalogue, regions=[{"mask": B, "style": "swirls"}, {"mask": "rest"}])
    assert request == {
        "command": "apply",
        "photograph": A,
        "options": {"style": "swirls", "size": 64},
        "regions": [{"mask": B, "style": "swirls"}, {"mask": "rest"}],
    }


def test_every_upload_that_is_named_is_found(catalogue):
    request = asked(
        catalogue,
        command="stylize",
        painting=B,
        mix=[{"painting": C, "share": 0.5}],
        options={"keep": "d" * 32, "protect": "faces"},
    )
    options = catalogue["commands"]["stylize"]["options"]
    assert names_in(request, options) == [A, B, C, "d" * 32]


def test_regions_that_have_styles_of_their_own_need_no_painting(catalogue):
    regions = [{"mask": B, "style": "swirls"}, {"mask": "rest", "painting": C}]
    request = asked(catalogue, command="stylize", options={}, regions=regions)
    assert request["regions"] == regions
    assert "painting" not in request


@pytest.mark.parametrize(
    ("polish", "quick"),
    [({}, True), ({"polish": 10}, True), ({"polish": 11}, False), ({"method": "quilting"}, False)],
)
def test_a_pass_and_few_steps_are_quick(catalogue, polish, quick):
    assert is_quick(asked(catalogue, options=polish)) is quick


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"command": "train"}, "command: should be one of apply, stylize, texture, reconstruct"),
        ({"command": ["apply"]}, "command: should be one of"),
        ({"photograph": None}, "photograph: should be the id of an upload; apply needs one"),
        ({"photograph": "../etc"}, "photograph: should be an id of 32 hexadecimal digits"),
        ({"colour": 1}, "the request: colour is unknown; known are command"),
        ({"options": [1]}, "options: should be an object, got"),
        ({"options": {"stile": 1}}, "options: stile is unknown; did you mean style?"),
        ({"options": {"painting": "/etc/passwd"}}, "options: painting is unknown"),
        ({"options": {"decoder": "/etc/passwd"}}, "decoder: should be one of brush"),
        ({"options": {"fast-network": "/etc/passwd"}}, "fast-network: should be one of paintbox"),
        ({"options": {"size": 10**400}}, "size: should be a whole number from 1 to 1000000000"),
        ({"options": {"size": 4096}}, "size: should be at most 2048 here, got 4096"),
        ({"options": {"size": "64"}}, "size: should be a whole number"),
        ({"options": {"size": True}}, "size: should be a whole number"),
        ({"options": {"polish": 1001}}, "polish: should be at most 1000 here"),
        ({"options": {"strength": 150}}, "strength: should be a number from 0 to 100, got 150"),
        ({"options": {"strength": float("nan")}}, "strength: should be a number from 0 to 100"),
        ({"options": {"style": "a\0b"}}, "style: should be printable text of at most 200 signs"),
        ({"options": {"style": "a\ud800"}}, "style: should be printable text of at most 200"),
        ({"options": {"style": "x" * 201}}, "style: should be printable text of at most 200"),
        ({"mix": [{"painting": B, "share": 1}]}, ""),
        ({"mix": [{"style": "swirls", "share": 1}]}, ""),
        ({"mix": [{"share": 1}]}, "mix: should have a painting or a style for each share"),
        ({"mix": [{"painting": B, "style": "swirls", "share": 1}]}, "mix: takes a painting or"),
        ({"command": "stylize", "options": {}, "regions": [{"mask": B, "style": "swirls"},
          {"mask": "rest"}]}, "painting: should be the id of an upload; stylize needs one"),
        ({"mix": []}, "mix: should be a list of 1 to 8"),
        ({"mix": [{"painting": B, "share": 2}]}, "share: should be a number from 0 to 1"),
        ({"regions": [{"mask": "sky.png"}]}, "mask: should be an id"),
        ({"regions": [{"mask": B, "style": "a;b"}]}, "style: should be the name of a style"),
        ({"mix": [{"style": "\ud800", "share": 1}]}, "style: should be printable text"),
        ({"regions": [{"mask": B, "style": "x", "painting": C}]}, "regions: takes a painting or"),
        ({"after": 7}, "after: should be an id"),
        ({"command": "reconstruct", "painting": B}, "painting: is not for reconstruct"),
        ({"command": "texture", "photograph": None, "painting": B, "mix": [{"painting": B,
          "share": 0.5}], "options": {}}, "mix: is not for texture"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_in_one_line(catalogue, changes, message):
    if not message:
        assert asked(catalogue, **changes)["mix"] == changes["mix"]
        return
    with pytest.raises(Refusal) as caught:
        asked(catalogue, **changes)
    assert caught.value.status == 400
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


def test_a_limit_that_is_left_out_is_none():
    check_value("share", 0.5, {"type": "number", "exclusiveMinimum": 0})
    with pytest.raises(Refusal, match="share: should be a number greater than 0, got 0"):
        check_value("share", 0, {"type": "number", "exclusiveMinimum": 0})
    with pytest.raises(Refusal, match="greater than 0 and at most 2"):
        check_value("share", 3, {"type": "number", "exclusiveMinimum": 0, "maximum": 2})
