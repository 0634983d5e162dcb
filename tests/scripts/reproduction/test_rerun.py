"""Commands that pages print, run one after another."""

import pytest

from scripts.reproduction import rerun

PAGE = """# Page

`python -m scripts.benchmarks.starts
-o s.jsonl --table` reads what is there.

## More

```sh
jaxstyle demo
python -m scripts.benchmarks.starts --data NOWHERE -o s.jsonl
python -m scripts.benchmarks.starts --no-such-option
```
"""


def test_commands_of_sentences_and_of_blocks_are_found():
    assert [tuple(each) for each in rerun.read_commands(PAGE)] == [
        ("Page", ["scripts.benchmarks.starts", "-o", "s.jsonl", "--table"]),
        ("More", ["scripts.benchmarks.starts", "--data", "NOWHERE", "-o", "s.jsonl"]),
        ("More", ["scripts.benchmarks.starts", "--no-such-option"]),
    ]


def test_files_of_the_checkout_are_found_from_anywhere():
    assert rerun.fill_in(["params/README.md", "x.md"], {}) == [
        str(rerun.ROOT / "params/README.md"), "x.md",
    ]  # fmt: skip


def test_what_fails_is_named_and_the_rest_runs(tmp_path, monkeypatch, capfd):
    (tmp_path / "page.md").write_text(PAGE)
    ran = []
    monkeypatch.setattr(rerun, "run", lambda words, folder: ran.append((words[1:], folder)))
    with pytest.raises(SystemExit) as stopped:
        rerun.main([str(tmp_path / "page.md"), "-o", str(tmp_path / "work"), f"--data={tmp_path}"])
    assert "NOWHERE is to be filled in by hand" in str(stopped.value)
    assert [words for words, _ in ran] == [["-o", "s.jsonl", "--table"], ["--no-such-option"]]
    assert (
        "page.md, More: python -m scripts.benchmarks.starts --no-such-option"
        in capfd.readouterr().out
    )


def test_a_page_may_say_how_to_run_itself_again(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("`python -m scripts.reproduction.rerun page.md -o WORK`")
    monkeypatch.setattr(rerun, "run", lambda *_: pytest.fail("it would never end"))
    rerun.main([str(page), "-o", str(tmp_path / "work"), f"--data={tmp_path}"])


def test_listing_needs_no_folder_and_runs_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "page.md").write_text(PAGE)
    monkeypatch.setattr(rerun, "run", lambda *_: pytest.fail("nothing should run"))
    rerun.main([str(tmp_path / "page.md"), "--list"])
    assert capsys.readouterr().out.count("python -m") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["PAGE"], "give -o WORK"),
        (["none.md", "--list"], "none.md"),
        (["FOLDER", "--list"], "FOLDER"),
        (["picture", "--list"], "picture: not a page in Markdown"),
        (["PAGE", "-o", "work", "--data", "none"], "--data: none: no such folder"),
        (["PAGE", "-o", "work", "--vgg19", "no/vgg.h5"], "--vgg19: no/vgg.h5: no such file"),
    ],
)
def test_wrong_input_is_one_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "PAGE").write_text(PAGE)
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SystemExit, match="2"):
        rerun.main([*words, *(() if "--data" in words else ("--data", str(tmp_path)))])
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_a_command_runs_in_the_folder_and_its_failure_is_told(tmp_path, capfd):
    (tmp_path / "page.md").write_text("`python -m scripts.benchmarks.waits none.jpg none.jpg`")
    with pytest.raises(SystemExit, match="these did not run"):
        rerun.main([str(tmp_path / "page.md"), "-o", str(tmp_path / "work"), f"--data={tmp_path}"])
    assert "none.jpg" in capfd.readouterr().err
