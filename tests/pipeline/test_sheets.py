"""Contact sheets: what stands where, and under which names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxstyle import save_image
from jaxstyle.pipeline import sheets
from jaxstyle.pipeline.sheets import Item

COLOURS = {"lake": (200, 0, 0), "hill": (150, 0, 0), "night": (0, 200, 0), "wave": (0, 150, 0)}


def item(**settings):
    return Item({name.replace("_", "-"): value for name, value in settings.items()}, None, {})


def arranged(*items):
    """The setting across, its values, those down, and which items are in which place."""
    table = sheets._arrange(items, list(sheets.varied(items)))
    rows = [[None if each is None else items.index(each) for each in row] for row in table.rows]
    return table.across, list(table.columns), list(table.down), rows


def grid(**axes):
    """An item for each combination; the last axis is the quickest."""
    items = [{}]
    for name, values in axes.items():
        items = [each | {name: value} for each in items for value in values]
    return [item(**each) for each in items]


def test_paintings_stand_along_the_top_and_photographs_down_the_edge():
    table = arranged(*grid(content=["lake", "hill"], style=["night", "wave"]))
    assert table == ("style", ["night", "wave"], ["content"], [[0, 1], [2, 3]])
    table = arranged(*grid(content=["lake", "hill"], style=["night"], seed=["0", "1", "2"]))
    assert table == ("seed", ["0", "1", "2"], ["content"], [[0, 1, 2], [3, 4, 5]])
    table = arranged(*grid(content=["lake"], style=["night", "wave"], seed=["0", "1"]))
    assert table == ("style", ["night", "wave"], ["seed"], [[0, 2], [1, 3]])
    table = arranged(*grid(content=["lake", "hill"], style=["a", "b"], seed=["0", "1"]))
    assert table[0] == "style"
    assert table[2:] == (["content", "seed"], [[0, 2], [1, 3], [4, 6], [5, 7]])
    table = arranged(*grid(content=["lake", "hill", "sea"], style=["night"]))
    assert table == ("content", ["lake", "hill", "sea"], [], [[0, 1, 2]])


def test_runs_with_other_settings_share_a_table_if_it_is_full_enough():
    first = grid(style=["night"], seed=["0", "1"])
    more = [item(style="wave", seed="0"), item(style="wave", seed="1", init="noise")]
    table = arranged(*first, *more)
    assert table[:3] == ("style", ["night", "wave"], ["seed", "init"])
    assert table[3] == [[0, 2], [1, None], [None, 3]]
    scattered = [item(seed=str(i), tv_weight=str(i)) for i in range(7)]
    assert arranged(*scattered)[0] is None  # a table would have 49 places
    assert arranged(*scattered)[3] == [[0, 1, 2, 3, 4], [5, 6]]
    twice = [item(seed="0"), item(seed="1"), Item({"seed": "1"}, Path("b.png"), {})]
    assert arranged(*twice)[0] is None  # two for one place


def test_labels_are_the_settings_that_vary_without_folders():
    settings = {"mix": "/a/b.jpg=0.5", "init": "/c/d.png", "style-weight": "0.30000000000000004"}
    assert sheets.label(settings, ["mix", "init", "style-weight", "seed"]) == (
        "mix b.jpg=0.5  init d.png  style-weight 0.3  seed -"
    )
    assert sheets.label({"content": "a" * 30}, ["content"]) == f"content {'a' * 23}…"
    # Files of one name in two folders are two values all the same.
    two = [item(init="/a/x.png"), item(init="/b/x.png")]
    assert sheets.varied(two) == {"init": ["/a/x.png", "/b/x.png"]}


@pytest.fixture
def pictures(tmp_path):
    """Photographs, paintings and the pictures of all pairs, each of a colour of its own."""
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "made").mkdir()

    def make(content, style, name=None, **settings):
        pixels = np.ones((30, 40, 3)) * np.add(COLOURS[content], COLOURS[style]) / 255
        settings = {"command": "stylize", "content": f"{content}.png"} | settings
        save_image(
            tmp_path / "made" / (name or f"{content}--{style}.png"),
            pixels,
            settings=settings | {"style": f"{style}.png"},
        )

    for content in ("lake", "hill"):
        make(content, "night")
    make("lake", "wave")
    make("lake", "wave", "lake--wave-000050.png")  # on the way
    make("lake", "wave", "lake--other.png", command="apply")
    Image.new("RGB", (4, 3)).save(tmp_path / "made/a--b.png")
    return tmp_path


def test_a_sheet_of_a_folder(pictures):
    files = {name: pictures / f"{name}.png" for name in COLOURS}
    contents, styles = [files["lake"], files["hill"]], [files["wave"], files["night"]]
    items = sheets.read_folder(pictures / "made", contents, styles)
    assert [each.picture.name for each in items] == [
        "lake--wave.png", "lake--night.png", "hill--night.png",
    ]  # fmt: skip
    sheets.write_sheets(pictures / "made", items)
    with Image.open(pictures / "made/contact_sheet.png") as sheet:
        assert sheet.size == (8 + 3 * 200, 8 + 3 * (30 + 8) + 19 + 2 * 19)
        places = {x: 8 + 200 * x + 20 for x in range(3)} | {"top": 20, "first": 75, "second": 135}
        edges = {
            "wave": (1, "top"),
            "night": (2, "top"),
            "lake": (0, "first"),
            "hill": (0, "second"),
        }
        at = {name: sheet.getpixel((places[x], places[y])) for name, (x, y) in edges.items()}
        assert at == COLOURS
        assert sheet.getpixel((places[1], places["first"])) == (200, 150, 0)
        assert sheet.getpixel((places[2], places["second"])) == (150, 200, 0)
        assert sheet.getpixel((places[1], places["second"])) == (255, 255, 255)
    # Another run finds the paintings of the first no more, and leaves their places white.
    others = sheets.read_folder(pictures / "made")
    assert [each.picture.name for each in others] == [
        "hill--night.png", "lake--night.png", "lake--wave.png",
    ]  # fmt: skip
    sheets.write_sheets(pictures / "made", others)


@pytest.mark.parametrize("down", ["seed", "content"])
def test_a_row_may_be_empty_on_one_of_its_pages(tmp_path, down):
    items = [item(style=str(i), **{down: "a"}) for i in range(10)]
    items += [item(style=str(i), **{down: "b"}) for i in range(8, 12)]
    assert arranged(*items)[0] == "style"
    sheets.write_sheets(tmp_path, items)
    assert len(sheets.sheet_files(tmp_path)) == 2
    sheets.write_sheets(tmp_path, [])


def test_further_pages_go_and_other_files_stay(pictures):
    folder = pictures / "made"
    for name in ("contact_sheet-2.png", "contact_sheet-holiday.png"):
        Image.new("RGB", (4, 3)).save(folder / name)
    items = [item(seed=str(i), tv_weight=str(j)) for i in range(13) for j in range(2)]
    assert {path.name for path in sheets.sheet_files(folder)} == {
        "contact_sheet.png", "contact_sheet-2.png",
    }  # fmt: skip
    sheets.write_sheets(folder, items)
    names = sorted(path.name for path in folder.glob("contact_sheet*"))
    assert names == ["contact_sheet-2.png", "contact_sheet-holiday.png", "contact_sheet.png"]
    sheets.write_sheets(folder, items[:2])
    assert not (folder / "contact_sheet-2.png").exists()
    assert (folder / "contact_sheet-holiday.png").exists()
