"""Checks what is asked for by JSON, before a worker looks at it: names, types and limits.

The worker publishes the tables of options with a JSON schema for each value. These schemas are in
the OpenAPI file too, so what a program can read there is what is checked here.
"""

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxstyle._common.text import nearest
from jaxstyle.pipeline.choices import PIECES
from jaxstyle.web.environment import Limits
from jaxstyle.web.refusals import Refusal

NAME = re.compile(r"[0-9a-f]{32}")
"""The form of all names of uploads and jobs."""
REST = "rest"
_MOST_PARTS = 8  # paintings of a mixture, and regions
_STYLE = {"type": "string", "pattern": r"[a-z0-9-]{1,80}", "description": "the name of a style"}
_KEYS = ("command", "photograph", "painting", "mix", "regions", "options", "after")
_QUICK_STEPS = 10
_SHOWN = 40


def check_request(data: Any, commands: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Returns a request for a picture with nothing but what it may have.

    Args:
      data: as JSON gives it.
      commands: from the catalogue: the options of each command.
      limits: what may be asked for.

    Raises:
      Refusal: if something is missing, unknown, of another kind or beyond a limit.
    """
    _check_keys("the request", data, _KEYS)
    command = data.get("command")
    if not isinstance(command, str) or command not in commands:
        raise _wrong("command", f"should be one of {', '.join(commands)}", command)
    known = commands[command]
    request: dict[str, Any] = {"command": command}
    parts = data.get("regions")
    by_regions = _own_styles(parts) and "regions" in known["lists"]
    for key, needed in known["takes"].items():
        if data.get(key) is not None:
            request[key] = check_name(key, data[key])
        elif needed and not (key == "painting" and by_regions):
            raise Refusal(400, f"{key}: should be the id of an upload; {command} needs one")
    for key in ("photograph", "painting"):
        if data.get(key) is not None and key not in request:
            raise Refusal(400, f"{key}: is not for {command}; leave it out")
    request["options"] = check_options(data.get("options", {}), known["options"], limits)
    if "mix" in data:
        request["mix"] = [_share(each) for each in _parts("mix", data["mix"])]
    if "regions" in data:
        request["regions"] = [_region(each) for each in _parts("regions", data["regions"])]
    for key in ("mix", "regions"):
        if key in request and key not in known["lists"]:
            raise Refusal(400, f"{key}: is not for {command}; leave it out")
    if data.get("after") is not None:
        request["after"] = check_name("after", data["after"])
    return request


def _own_styles(parts: Any) -> bool:
    """Tells whether each of some regions has a painting or a style of its own."""
    return isinstance(parts, list) and all(
        isinstance(part, dict) and (part.get("painting") or part.get("style")) for part in parts
    )


def check_options(
    given: Any, known: Mapping[str, Mapping[str, Any]], limits: Limits
) -> dict[str, Any]:
    """Returns options whose values fit their schemas and the limits.

    Raises:
      Refusal: if one does not.
    """
    if not isinstance(given, dict):
        raise _wrong("options", "should be an object", given)
    for name, value in given.items():
        if name not in known:
            meant = nearest(str(name), known)
            right = f"did you mean {meant}?" if meant else "the catalogue lists the options"
            raise Refusal(400, f"options: {_shown(name)} is unknown; {right}")
        check_value(name, value, known[name]["schema"])
    for name, most in (
        ("size", limits.max_size),
        ("style-size", limits.max_size),
        ("steps", limits.max_steps),
        ("polish", limits.max_steps),
    ):
        if given.get(name, 0) > most:
            raise Refusal(400, f"{name}: should be at most {most} here, got {given[name]}")
    return dict(given)


def check_value(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    """Raises `Refusal` unless a value fits a schema, of which few words are known.

    Args:
      name: of the option, for the message.
      value: as JSON gives it.
      schema: with `type`, and `enum`, `pattern`, `maxLength`, or the limits of a number.
    """
    kind = schema["type"]
    if kind == "boolean":
        if not isinstance(value, bool):
            raise _wrong(name, "should be true or false", value)
        return
    if kind == "string":
        _check_text(name, value, schema)
        return
    number = isinstance(value, int) or (kind == "number" and isinstance(value, float))
    if isinstance(value, bool) or not number or value != value:
        raise _wrong(name, f"should be {_ranged(schema)}", value)
    low = value >= schema.get("minimum", -math.inf) and value > schema.get(
        "exclusiveMinimum", -math.inf
    )
    if not (low and value <= schema.get("maximum", math.inf) and value != math.inf):
        raise _wrong(name, f"should be {_ranged(schema)}", value)


def is_quick(request: Mapping[str, Any]) -> bool:
    """Tells whether a picture takes moments: one pass, or few steps."""
    options = request["options"]
    brief = options.get("polish", 0) <= _QUICK_STEPS and options.get("method") not in PIECES
    return request["command"] == "apply" and brief


def check_name(what: str, value: Any) -> str:
    """Returns the name of an upload or a job.

    Raises:
      Refusal: if it has another form.
    """
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise _wrong(what, "should be an id of 32 hexadecimal digits", value)
    return value


def names_in(request: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the uploads that a checked request names."""
    names = [request[key] for key in ("photograph", "painting") if key in request]
    names += [part["painting"] for part in request.get("mix", ()) if "painting" in part]
    for region in request.get("regions", ()):
        names += [region["painting"]] if "painting" in region else []
        names += [region["mask"]] if region["mask"] != REST else []
    for name, value in request["options"].items():
        if known[name].get("picture") and NAME.fullmatch(value):
            names.append(value)
    return list(dict.fromkeys(names))


def styles_in(request: Mapping[str, Any]) -> list[str]:
    """Returns the styles of the page that a checked request names, beside those of a blend."""
    parts = (*request.get("mix", ()), *request.get("regions", ()), request["options"])
    return [part["style"] for part in parts if isinstance(part.get("style"), str)]


def _check_text(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    if not isinstance(value, str):
        raise _wrong(name, "should be text", value)
    most = schema.get("maxLength", 200)
    if not value.isprintable() or len(value) > most:  # no half of a pair either: no UTF-8 has it
        raise _wrong(name, f"should be printable text of at most {most} signs", value)
    names, pattern = schema.get("enum"), schema.get("pattern")
    named = names is not None and value in names
    matching = pattern is not None and re.fullmatch(pattern, value) is not None
    if (names or pattern) and not (named or matching):
        right = schema.get("description", "the id of an upload") if pattern else ""
        one = f"one of {', '.join(names)}" if names else ""
        raise _wrong(name, f"should be {' or '.join(filter(None, [one, right]))}", value)


def _share(part: Any) -> dict[str, Any]:
    _check_keys("mix", part, ("painting", "style", "share"))
    share = part.get("share")
    check_value("share", share, {"type": "number", "minimum": 0, "maximum": 1})
    like = _like("mix", part)
    if not like:
        raise Refusal(400, "mix: should have a painting or a style for each share")
    return {**like, "share": share}


def _region(part: Any) -> dict[str, Any]:
    _check_keys("regions", part, ("mask", "painting", "style"))
    mask = part.get("mask")
    region = {"mask": mask if mask == REST else check_name("mask", mask)}
    return region | _like("regions", part)


def _like(what: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the painting or the style that a part names, if it names one."""
    like = {}
    if part.get("painting") is not None:
        like["painting"] = check_name("painting", part["painting"])
    if part.get("style") is not None:
        check_value("style", part["style"], _STYLE)
        like["style"] = part["style"]
    if len(like) > 1:
        raise Refusal(400, f"{what}: takes a painting or a style for each, not both")
    return like


def _parts(what: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_PARTS:
        raise _wrong(what, f"should be a list of 1 to {_MOST_PARTS}", value)
    return value


def _check_keys(what: str, value: Any, keys: Sequence[str]) -> None:
    if not isinstance(value, dict):
        raise _wrong(what, "should be an object", value)
    for key in value:
        if key not in keys:
            raise Refusal(400, f"{what}: {_shown(key)} is unknown; known are {', '.join(keys)}")


def _ranged(schema: Mapping[str, Any]) -> str:
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    over = "greater than" if "exclusiveMinimum" in schema else "of at least"
    if "maximum" in schema:
        least = f"{over} {low:g} and" if "exclusiveMinimum" in schema else f"from {low:g} to"
        most = "at most " if "exclusiveMinimum" in schema else ""
        return f"{kind} {least} {most}{schema['maximum']:.10g}"
    return f"{kind} {over} {low:g}" if low is not None else kind


def _wrong(what: str, right: str, value: Any) -> Refusal:
    return Refusal(400, f"{what}: {right}, got {_shown(value)}")


def _shown(value: Any) -> str:
    text = value[: 2 * _SHOWN] if isinstance(value, str) else reprlib.repr(value)
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
