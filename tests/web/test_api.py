"""The interface, with a painter that needs no network: everything else is as it runs."""

import pytest
from helpers.web import ask, picture
from PIL import Image

pytest.importorskip("django")


def test_from_an_upload_to_a_picture(visitor, painter, tmp_path):
    asked = ask(visitor)
    assert (asked.status, asked.data["state"]) == (201, "new")
    address = f"/api/jobs/{asked.data['id']}"
    painter.work()
    done = visitor.get(address).data
    assert (done["state"], done["step"], done["message"]) == ("done", 1, "")
    assert (done["made"]["width"], done["made"]["height"]) == (16, 11)
    line = "jaxstyle apply photograph.png -o picture.png --size 16 --style swirls"
    assert done["made"]["line"] == line
    assert "paint_into(" in done["made"]["python"]
    kinds = {"picture.png": "PNG", "picture-16.png": "PNG", "picture.jpg": "JPEG"}
    for name, kind in kinds.items():
        answer = visitor.get(f"{address}/{name}?save")
        (tmp_path / name).write_bytes(answer.body)
        with Image.open(tmp_path / name) as image:
            assert (image.format, image.size) == (kind, (16, 11))
        assert answer.headers["content-disposition"].startswith('attachment; filename="jaxstyle')
    from jaxstyle.image import io

    settings = io.read_settings(tmp_path / "picture.png")
    assert settings["content"] == "photograph.png"
    assert settings["options"]["style"] == "swirls"
    assert [job["id"] for job in visitor.get("/api/jobs").data["jobs"]] == [done["id"]]
    assert visitor.delete(address).status == 204
    assert visitor.get(address).status == 404
    assert list((painter_folder()).iterdir()) == []


def painter_folder():
    from jaxstyle.web import models

    return models.jobs()


def test_a_picture_can_be_stopped_and_is_kept(visitor, painter):
    asked = ask(visitor, options={"polish": 50}).data
    address = f"/api/jobs/{asked['id']}"

    def stop(step):
        if step == 3:
            visitor.send(f"{address}/stop", {})
            for watch in painter.process._watches:
                watch._asked = 0.0

    painter.between_steps.append(stop)
    painter.work()
    done = visitor.get(address).data
    assert (done["state"], done["stopped"], done["steps"]) == ("done", True, 50)
    assert 3 <= done["step"] <= 4
    assert visitor.get(f"{address}/picture.png").status == 200
    assert done["frame"] >= 1
    assert visitor.get(f"{address}/frame.jpg").headers["content-type"] == "image/jpeg"


def test_quick_jobs_of_others_come_between_the_steps(visitor, stranger, painter):
    long = ask(visitor, options={"polish": 50}).data["id"]
    quick = []

    def come(step):
        if step == 2 and not quick:
            from jaxstyle.web import reception

            quick.append(ask(stranger).data["id"])
            reception.receive()
            for watch in painter.process._watches:
                watch._asked = 0.0
        if step == 5:
            states.append(stranger.get(f"/api/jobs/{quick[0]}").data["state"])

    states = []
    painter.between_steps.append(come)
    painter.work()
    assert states == ["done"]
    assert visitor.get(f"/api/jobs/{long}").data["state"] == "done"


def test_a_job_that_fails_says_why_and_stops_no_other(visitor, painter, page):
    photograph = visitor.begin().upload(picture()).data["id"]
    blend = {"blend": "swirls=0.5,nobody=0.5", "size": 16}
    request = {"command": "apply", "photograph": photograph, "options": blend}
    wrong = visitor.send("/api/jobs", request).data["id"]
    right = ask(visitor, photograph=photograph).data["id"]
    painter.work()
    failed = visitor.get(f"/api/jobs/{wrong}").data
    assert failed["state"] == "failed"
    assert failed["message"].startswith("blend: no style is called 'nobody'; there are starry")
    assert str(page) not in failed["message"]
    assert visitor.get(f"/api/jobs/{right}").data["state"] == "done"


def test_a_mistake_of_the_program_is_no_traceback_either(visitor, painter, monkeypatch, caplog):
    from jaxstyle.pipeline.painting import Painting

    def broken(*_, **__):
        raise ZeroDivisionError("deep inside")

    job = ask(visitor).data["id"]
    monkeypatch.setattr(Painting, "run", broken)
    painter.work()
    failed = visitor.get(f"/api/jobs/{job}").data
    assert failed["message"] == "unexpected ZeroDivisionError; the server's log has more"
    assert "deep inside" in caplog.text


def test_a_job_that_was_deleted_leaves_nothing(visitor, painter):
    job = ask(visitor, options={"polish": 50}).data["id"]
    painter.between_steps.append(
        lambda step: visitor.delete(f"/api/jobs/{job}") if step == 2 else None
    )
    painter.work()
    assert list(painter_folder().iterdir()) == []


def test_a_worker_that_ends_gives_its_job_back(visitor, painter):
    job = ask(visitor, options={"polish": 50}).data["id"]

    def end(step):
        if step == 2:
            painter.process.end()
            for watch in painter.process._watches:
                watch._asked = 0.0

    painter.between_steps.append(end)
    painter.work_once = painter.process._take_one
    from jaxstyle.web import reception

    reception.receive()
    painter.process._take_one(quick=False)
    assert visitor.get(f"/api/jobs/{job}").data["state"] == "queued"
    assert visitor.get(f"/api/jobs/{job}/picture.png").status == 404


def test_a_job_that_ends_its_worker_again_and_again_is_given_up(visitor, painter, limited):
    from jaxstyle.web import models

    job = ask(visitor).data["id"]
    models.Job.objects.filter(pk=job).update(barren=5)
    painter.work()
    failed = visitor.get(f"/api/jobs/{job}").data
    assert failed["message"] == "ended its worker 5 times; try a smaller size"


def test_a_sweep_is_a_picture_for_each_combination(visitor, painter):
    photograph = visitor.begin().upload(picture()).data["id"]
    answer = visitor.send("/api/sweeps", {
        "command": "apply", "photograph": photograph, "options": {"size": 16},
        "axes": {"style": ["swirls", "great-wave"], "strength": [50, 100]},
    })  # fmt: skip
    assert answer.status == 201
    painter.work()
    jobs = visitor.get(f"/api/sweeps/{answer.data['id']}").data["jobs"]
    points = [(j["request"]["options"]["style"], j["request"]["options"]["strength"]) for j in jobs]
    assert points == [("swirls", 50), ("swirls", 100), ("great-wave", 50), ("great-wave", 100)]
    assert {job["state"] for job in jobs} == {"done"}
    assert visitor.delete(f"/api/sweeps/{answer.data['id']}").status == 204


@pytest.mark.parametrize(
    ("limits", "status", "line"),
    [
        ({"max_queue_each": 1}, 429, "1 pictures of yours wait already; stop one, or wait"),
        ({"max_queue": 1}, 503, "too many pictures wait here; try again in some minutes"),
        ({"max_disk_each_mb": 1e-6}, 507, "your pictures fill 1e-06 MB; delete some first"),
    ],
)
def test_what_is_full_says_so(visitor, limited, limits, status, line):
    photograph = visitor.begin().upload(picture()).data["id"]
    assert ask(visitor, photograph=photograph).status == 201
    limited(**limits)
    answer = ask(visitor, photograph=photograph)
    assert (answer.status, answer.error) == (status, line)


def test_a_full_disk_takes_no_upload(visitor, limited):
    visitor.begin().upload(picture())
    limited(max_disk_mb=1e-6)
    answer = visitor.upload(picture())
    assert (answer.status, answer.error) == (
        507,
        "the disk of this page is full; try again another day",
    )


@pytest.mark.parametrize(
    ("limits", "options", "line"),
    [
        ({"max_size": 20}, {"size": None}, "size: should be at most 20 here, got 24"),
        ({"memory_share": 1e-6}, {}, "size: would take "),
        ({"max_steps": 5}, {"size": 16}, None),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_painted(
    visitor, painter, limited, limits, options, line
):
    limited(**limits)
    visitor.begin()
    photograph = visitor.upload(picture()).data["id"]
    given = {key: value for key, value in {"size": 16, **options}.items() if value is not None}
    request = {"command": "apply", "photograph": photograph, "options": given}
    job = visitor.send("/api/jobs", request).data["id"]
    painter.work()
    facts = visitor.get(f"/api/jobs/{job}").data
    if line is None:
        assert facts["state"] == "done"
    else:
        assert facts["state"] == "failed"
        assert facts["message"].startswith(line)


def test_what_it_is_made_from_can_be_saved(visitor, painter):
    import io
    import zipfile

    photograph = picture()
    asked = ask(visitor, photograph=visitor.begin().upload(photograph).data["id"]).data
    address = f"/api/jobs/{asked['id']}/made-from.zip"
    assert visitor.get(address).error == "what it is made from is not there, or not yet"
    painter.work()
    assert visitor.ask("HEAD", address).status == 200
    answer = visitor.get(address)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="jaxstyle.zip"'
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.namelist() == ["photograph.png", "command.txt", "make.py"]
        assert archive.read("photograph.png") == photograph
        assert archive.read("command.txt").startswith(b"jaxstyle apply photograph.png -o ")


def test_older_pictures_are_listed_after_the_newest(visitor, painter, monkeypatch):
    from jaxstyle.web.views import api

    monkeypatch.setattr(api, "_GALLERY", 2)
    made = [ask(visitor).data["id"] for _ in range(4)]
    newest = visitor.get("/api/jobs").data
    assert [job["id"] for job in newest["jobs"]] == [made[3], made[2]]
    assert newest["more"]
    oldest = visitor.get(f"/api/jobs?before={made[2]}").data
    assert [job["id"] for job in oldest["jobs"]] == [made[1], made[0]]
    assert not oldest["more"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "paint.example.org"])
def test_whoever_looks_after_the_process_hears_that_it_lives(visitor, settings_of_page, host):
    settings_of_page.PASSWORD = "open sesame"
    answer = visitor.get("/healthy", host=host)
    assert (answer.status, answer.body) == (200, b"ok\n")


def test_the_password_closes_the_door(visitor, settings_of_page):
    settings_of_page.PASSWORD = "open sesame"
    assert visitor.get("/api/session").status == 401
    assert visitor.get("/").headers["location"] == "/login"
    door = visitor.get("/login")
    token = door.body.decode().partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    form = "application/x-www-form-urlencoded"

    def say(word):
        body = f"csrfmiddlewaretoken={token}&password={word}".encode()
        return visitor.ask("POST", "/login", body, form)

    assert say("wrong").status == 403
    assert visitor.get("/").status == 302
    assert say("open+sesame").headers["location"] == "/"
    assert visitor.get("/").status == 200
    settings_of_page.PASSWORD = "another"
    assert visitor.get("/").status == 302


def test_events_tell_of_a_job_until_its_end(visitor, painter):
    job = ask(visitor).data["id"]
    painter.work()
    answer = visitor.get(f"/api/jobs/{job}/events")
    assert answer.headers["content-type"] == "text/event-stream"
    lines = answer.body.decode().split("\n\n")
    assert lines[0] == "retry: 1000"
    assert lines[1].startswith("id: ")
    assert '"state": "done"' in lines[1]
    assert lines[2:] == [""]


def test_events_go_on_while_it_is_painted(visitor, painter):
    import threading
    import time

    job = ask(visitor, options={"polish": 3}).data["id"]
    painter.between_steps.append(lambda _: time.sleep(0.35))
    from django.db import connection

    def work():
        painter.work()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    text = visitor.get(f"/api/jobs/{job}/events").body.decode()
    thread.join()
    states = [part.partition('"state": "')[2].partition('"')[0] for part in text.split("\n\n")]
    assert states[-2] == "done"
    assert "running" in states


def test_the_description_fits_the_interface(visitor):
    from django.urls import get_resolver

    described = visitor.begin().get("/api/openapi.json").data
    assert described["openapi"] == "3.1.0"
    addresses = {
        "/" + str(pattern.pattern).replace("<name:name>", "{id}").replace("<str:file>", "{file}")
        for pattern in get_resolver("jaxstyle.web.urls").url_patterns
        if str(pattern.pattern).startswith("api/")
    }
    assert set(described["paths"]) == addresses - {"/api/openapi.json"}
    size = described["components"]["schemas"]["ApplyRequest"]["properties"]["options"]
    assert size["properties"]["size"]["type"] == "integer"
    names = described["components"]["schemas"]
    for reference in references(described):
        assert reference.rpartition("/")[2] in {*names, "Error"}


def references(part):
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def test_the_page_has_no_script_and_no_style_of_its_own(visitor):
    body = visitor.get("/").body.decode()
    assert "<style" not in body
    assert " style=" not in body
    assert " onclick" not in body
    assert body.count("<script") == 1
    for name in ("page.css", "main.js", "icon.png"):
        assert f"/static/{name}" in body
        assert visitor.get(f"/static/{name}").status == 200
    again = visitor.get(
        "/static/main.js", if_none_match=visitor.get("/static/main.js").headers["etag"]
    )
    assert (again.status, again.body) == (304, b"")
