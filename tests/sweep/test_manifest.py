"""The record of a sweep: read back as it was written, and what is no such record refused."""

import json
import re

import pytest

from jaxstyle.errors import FileFormatError
from jaxstyle.sweep import manifest

DONE = {
    "id": "0123456789ab", "content": "a.png", "style": "b.png", "options": {"seed": "0"},
    "file": "pictures/a--b.png", "status": "done", "error": None, "network": "compact",
    "loss": 0.5, "terms": {"style": 0.5}, "steps": 3, "evaluations": 4, "seconds": 1.5,
    "device": "cpu",
}  # fmt: skip
FAILED = {name: DONE[name] for name in ("id", "content", "style", "options")} | {
    "file": None, "status": "failed", "error": "a.png: no such file",
}  # fmt: skip


@pytest.fixture
def record(tmp_path):
    return tmp_path / "manifest.jsonl"


def test_what_is_written_is_read_and_the_last_word_counts(record):
    assert manifest.read(record) == {}
    other = FAILED | {"id": "other"}
    manifest.append(record, [FAILED, other])
    manifest.append(record, [DONE])
    assert manifest.read(record) == {DONE["id"]: DONE, "other": other}


def test_what_editors_do_to_lines_is_harmless(record):
    lines = f"\n{json.dumps(DONE)}\r\n\r\n".encode("utf-8-sig")
    record.write_bytes(lines.replace(b"\n", b"", 1))
    assert manifest.read(record) == {DONE["id"]: DONE}
    record.write_text(json.dumps(DONE))  # without the end of the line
    manifest.append(record, [FAILED | {"id": "other"}])
    assert set(manifest.read(record)) == {DONE["id"], "other"}


@pytest.mark.parametrize("tail", [json.dumps(DONE)[:40], "\0" * 99, "{"])
def test_an_unfinished_line_is_left_out_and_cut_off(record, tail):
    for before in ("", json.dumps(FAILED | {"id": "other"}) + "\n"):
        record.write_text(before + tail)
        assert len(manifest.read(record)) == len(before.splitlines())
        manifest.append(record, [DONE])
        assert record.read_text() == before + json.dumps(DONE) + "\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a text", "is not JSON"),
        ("\0\0", "is not JSON"),
        ("[" * 10**5, "is not JSON"),
        ("7", "is no table of a job's settings and losses"),
        ("[]", "is no table"),
        ("{}", "lacks 'id'"),
        *(({name: ...}, f"lacks '{name}'") for name in DONE
          if name not in ("network", "seconds", "device")),
        ({"id": 3}, "'id' should be text, got 3"),
        ({"status": "begun"}, "'status' should be 'done' or 'failed', got 'begun'"),
        ({"options": []}, r"'options' should be a table of texts, got \[\]"),
        ({"options": {"seed": 0}}, "'options' should be a table of texts"),
        ({"terms": {"style": "0"}}, "'terms' should be a table of numbers"),
        ({"loss": "0"}, "'loss' should be a number"),
        ({"steps": -1}, "'steps' should be a whole number"),
        ({"steps": 10**30}, "'steps' should be a whole number, got 1000000"),
        ({"steps": 2.5}, "'steps' should be a whole number"),
        ({"error": 3}, "'error' should be text or null"),
        ({"file": None}, "has the status 'done' and no file"),
        *(({"file": file}, "'file' should be a file in 'pictures', or null")
          for file in ("/etc/passwd", "pictures/../../secret.png", "pictures/..", "pictures",
                       "", "traces/a.csv", "../pictures/a.png", 3)),
    ],
)  # fmt: skip
def test_a_line_that_is_no_job(record, line, says):
    if isinstance(line, dict):
        line = json.dumps({k: v for k, v in (DONE | line).items() if v is not ...})
    record.write_text(f"{json.dumps(DONE)}\n{line}\n{json.dumps(FAILED)}\n")
    remedy = "remove the line, and its job is made again"
    where = rf"^{re.escape(str(record))}, line 2: {says}.*; {remedy}$"
    with pytest.raises(FileFormatError, match=where):
        manifest.read(record)
