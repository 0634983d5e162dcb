"""The OpenAPI file: the interface, with the options as the worker publishes them."""

from collections.abc import Mapping
from typing import Any

from jaxstyle.web.checking import NAME
from jaxstyle.web.environment import Limits

_JSON = "application/json"
_ID = {"type": "string", "pattern": f"^{NAME.pattern}$"}
_STATES = ["new", "queued", "running", "done", "failed"]


def describe(catalogue: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Returns the description of the interface in OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jaxstyle",
            "version": catalogue["version"],
            "description": "Photographs painted in the style of paintings. GET /api/session first: "
            "it sets the cookies, and its token goes into the header X-CSRFToken of every request "
            "that changes something.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(limits),
        "components": {"schemas": _schemas(catalogue), "responses": {"Error": _error()}},
    }


def _paths(limits: Limits) -> dict[str, Any]:
    job, jobs = _ref("Job"), _object({"jobs": _list(_ref("Job"))})
    jobs["properties"]["more"] = {"type": "boolean", "description": "whether there are older ones"}
    before = {
        "name": "before", "in": "query", "schema": _ID,
        "description": "lists those that are older than this one",
    }  # fmt: skip
    sweep = _object({"id": _ID, "jobs": _list(_ref("Job"))})
    name = [{"name": "id", "in": "path", "required": True, "schema": _ID}]
    picture = {
        "description": "the picture", "content": {"image/*": {}, "application/zip": {}}
    }  # fmt: skip
    events = {"description": "events with a Job each", "content": {"text/event-stream": {}}}
    body = {"required": True, "content": {"application/octet-stream": {}}}
    return {
        "/api/session": {"get": _operation("Begins a session", _object({"token": _text()}))},
        "/api/catalogue": {"get": _operation("Lists options and styles", {"type": "object"})},
        "/api/uploads": {
            "post": _operation(
                f"Uploads a picture of at most {limits.max_upload_mb:g} MB",
                _ref("Upload"), status="201", body=body,
            ),
        },
        "/api/uploads/{id}": {
            "parameters": name,
            "get": _operation("Says what is known of an upload", _ref("Upload")),
            "delete": _operation("Removes an upload", None, status="204"),
        },
        "/api/uploads/{id}/preview.jpg": {
            "parameters": name,
            "get": {"summary": "Shows an upload", "responses": _responses("200", picture)},
        },
        "/api/jobs": {
            "get": _operation("Lists the newest pictures of this session", jobs)
            | {"parameters": [before]},
            "post": _operation(
                "Asks for a picture", job, status="201", body=_json(_ref("Request"))
            ),
        },
        "/api/jobs/{id}": {
            "parameters": name,
            "get": _operation("Says how far a picture is", job),
            "delete": _operation("Removes a picture", None, status="204"),
        },
        "/api/jobs/{id}/stop": {
            "parameters": name,
            "post": _operation("Asks for no more steps; the picture is kept", job),
        },
        "/api/jobs/{id}/events": {
            "parameters": name,
            "get": {"summary": "Follows a picture", "responses": _responses("200", events)},
        },
        "/api/jobs/{id}/{file}": {
            "parameters": [*name, {
                "name": "file", "in": "path", "required": True,
                "schema": {"enum": ["picture.png", "picture-16.png", "picture.jpg", "frame.jpg",
                                    "before.jpg", "made-from.zip"]},
            }],
            "get": {
                "summary": "Shows a picture, or packs what it was made from",
                "responses": _responses("200", picture),
            },
        },
        "/api/sweeps": {
            "post": _operation(
                "Asks for a picture with each combination of some values", sweep, status="201",
                body=_json(_ref("Sweep")),
            ),
        },
        "/api/sweeps/{id}": {
            "parameters": name,
            "get": _operation("Says how far the pictures of a sweep are", sweep),
            "delete": _operation("Removes the pictures of a sweep", None, status="204"),
        },
    }  # fmt: skip


def _schemas(catalogue: Mapping[str, Any]) -> dict[str, Any]:
    commands = catalogue["commands"]
    region = {"mask": {"anyOf": [_ID, {"const": "rest"}]}, "painting": _ID, "style": _text()}
    share = {
        "painting": _ID,
        "style": _text(),
        "share": {"type": "number", "minimum": 0, "maximum": 1},
    }
    requests = {
        _title(command): _object({
            "command": {"const": command},
            **dict.fromkeys(known["takes"], _ID),
            **({"mix": _list(_object(share))} if "mix" in known["lists"] else {}),
            **({"regions": _list(_object(region))} if "regions" in known["lists"] else {}),
            "after": {**_ID, "description": "a picture of this session to go on from"},
            "options": _object({
                name: {**row["schema"], "description": _sentence(row)}
                for name, row in known["options"].items()
            }),
        }, required=["command", *(key for key, needed in known["takes"].items() if needed)])
        for command, known in commands.items()
    }  # fmt: skip
    return {
        **requests,
        "Request": {"oneOf": [_ref(name) for name in requests]},
        "Sweep": {
            "description": "a Request with `axes`: options, each with a list of values",
            "type": "object",
            "required": ["command", "axes"],
            "properties": {"axes": {"type": "object", "additionalProperties": {"type": "array"}}},
        },
        "Upload": _object({
            "id": _ID,
            "state": {"enum": ["new", "ready", "refused"]},
            "message": _text("why it was refused"),
            "bytes": _whole(), "width": _whole(), "height": _whole(),
        }),
        "Job": _object({
            "id": _ID,
            "state": {"enum": _STATES},
            "stopped": {"type": "boolean"},
            "message": _text("why it failed"),
            "version": _whole("grows with every change"),
            "command": {"enum": list(commands)},
            "request": {"type": "object"},
            "step": _whole(), "steps": _whole(),
            "preparing": {"type": "boolean", "description": "whether programs are made ready"},
            "frame": _whole("grows with every picture on the way"),
            "seconds_left": {"type": ["number", "null"]},
            "made": {"type": "object", "description": "size, settings, and lines to make it again"},
            "sweep": {"type": ["string", "null"]},
            "created": {"type": "string", "format": "date-time"},
        }),
        "Error": _object({"error": _text("one line that says what would be right")}),
    }  # fmt: skip


def _operation(
    summary: str, schema: Any, *, status: str = "200", body: Any = None
) -> dict[str, Any]:
    answer = {"description": summary}
    operation = {
        "summary": summary,
        "responses": _responses(status, answer if schema is None else answer | _json(schema)),
    }
    return operation if body is None else operation | {"requestBody": body}


def _responses(status: str, answer: Any) -> dict[str, Any]:
    return {status: answer, "4XX": {"$ref": "#/components/responses/Error"}}


def _error() -> dict[str, Any]:
    return {"description": "what is wrong", **_json(_ref("Error"))}


def _json(schema: Any) -> dict[str, Any]:
    return {"content": {_JSON: {"schema": schema}}}


def _object(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    schema = {"type": "object", "properties": dict(properties)}
    return schema if required is None else schema | {"required": required}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _text(description: str = "") -> dict[str, Any]:
    return {"type": "string", **({"description": description} if description else {})}


def _whole(description: str = "") -> dict[str, Any]:
    return {"type": "integer", **({"description": description} if description else {})}


def _title(command: str) -> str:
    return f"{command.capitalize()}Request"


def _sentence(row: Mapping[str, str]) -> str:
    default = f" (default: {row['default']})" if row["default"] else ""
    return f"{row['help']}{default}"
