"""The whole way in a browser: Chromium, which the system provides, and Playwright."""

import importlib.util
import json
import zipfile
from pathlib import Path

import pytest
from helpers.serving import Served, until

from jaxstyle import samples
from jaxstyle.image import io

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = (390, 768, 1440)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not there"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None,
        reason="Playwright is missing; pip install '.[browser]'",
    ),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    page = Served(tmp_path_factory.mktemp("page")).start()
    yield page
    page.stop()


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(served, chromium):
    """The page as a visitor has it; the tests below follow one another as the visitor goes on."""
    tab = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    tab.wrong = []
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    tab.on("request", lambda request: tab.wrong.append(request.url)
           if not request.url.startswith((served.url, "blob:", "data:")) else None)  # fmt: skip
    tab.goto(served.url)
    tab.wait_for_selector("html[data-ready=yes]", timeout=120_000)
    return tab


def put(page, option, value, event="input"):
    page.evaluate(
        """([option, value, event]) => {
          const input = document.querySelector(`[data-option="${option}"]`);
          input.value = value;
          input.dispatchEvent(new Event(event));
        }""",
        [option, value, event],
    )


def status(page):
    return page.text_content("#status")


def step(page):
    word = page.text_content("#left").partition(" ")[0]
    return int(word) if word.isdecimal() else 0


def finished(page):
    until(lambda: page.is_visible("#downloads"))


def test_a_dropped_photograph_is_painted_at_once(page):
    put(page, "size", 128)
    page.set_input_files("#photograph", samples.LAKE)
    finished(page)
    assert status(page) == "Done."
    assert page.text_content("#line").endswith("--size 128 --style starry-night")
    assert page.text_content("#python").startswith("import numpy as np\n\nimport jaxstyle\n")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(page, tmp_path):
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(41_000_000)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.set_input_files("#photograph", tmp_path / "large.png")
    until(lambda: page.is_visible("#trouble"))
    assert page.text_content("#trouble") == "This file has 41 MB; at most 40 MB fit here."
    assert sent == []
    assert page.is_visible("#downloads")


def test_the_divider_compares(page):
    page.fill("#compare", "40")
    assert (
        page.evaluate("getComputedStyle(document.getElementById('pair')).getPropertyValue('--cut')")
        == "40%"
    )
    page.focus("#compare")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#compare") == "41"
    page.fill("#compare", "0")


def test_it_can_be_enlarged(page):
    width = page.locator("#pair").bounding_box()["width"]
    page.click("#larger")
    assert page.text_content("#zoom") == "150 %"
    assert page.locator("#pair").bounding_box()["width"] == pytest.approx(1.5 * width)
    page.click("#smaller")
    assert page.text_content("#zoom") == "fit"


def test_a_painting_of_ones_own_is_optimised_live_and_kept_over_a_restart(page, served):
    page.set_input_files("#painting", samples.SWIRLS)
    page.wait_for_selector(".tile:nth-child(6)")
    assert page.input_value('[data-option="size"]') == "128"  # it is the same for both commands
    put(page, "steps", 400)
    put(page, "network", "compact", "change")
    until(lambda: "painting.png" in page.text_content("#line") and page.is_visible("#downloads"))
    page.click("#properly")
    until(lambda: step(page) >= 20)
    frames = page.get_attribute("#after", "src")
    until(lambda: page.get_attribute("#after", "src") != frames)
    assert page.is_visible("#stop")
    assert "left" in page.text_content("#left")
    served.stop()
    before = step(page)
    served.start()
    until(lambda: step(page) > before)
    page.click("#stop")
    finished(page)
    assert status(page).startswith("Stopped and kept after ")
    assert "--init start.png" in page.text_content("#line")


def test_regions_are_painted_by_hand(page):
    page.click(".tile:nth-child(1)")
    until(lambda: page.text_content("#line").endswith("starry-night") and status(page) == "Done.")
    page.click("#regions summary")
    page.click("#add-region")
    page.select_option("#region-list select", "great-wave")
    box = page.locator("#mask").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 160, steps=5)
    page.mouse.up()
    page.click("#erase")
    assert page.get_attribute("#erase", "aria-pressed") == "true"
    page.click("#erase")
    page.focus("#mask")
    before = mask(page)
    page.keyboard.press("ArrowDown")
    assert "52 % across" not in page.text_content("#brush-place")
    assert mask(page) == before
    page.keyboard.press("Space")
    assert mask(page) > before
    stroke = mask(page)
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert mask(page) > stroke
    page.keyboard.press("e")
    page.keyboard.press("]")
    assert page.input_value("#brush") == "13"
    page.keyboard.press("Space")
    page.keyboard.press("e")
    assert page.get_attribute("#erase", "aria-pressed") == "false"
    page.click("#repaint")
    until(lambda: "--regions" in page.text_content("#line"))
    assert "mask-1.png,style=great-wave;rest,style=starry-night" in page.text_content("#line")
    page.click("#regions summary")


def mask(page):
    """How much of the shown masks is painted."""
    return page.evaluate("""() => {
      const canvas = document.getElementById("mask");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.reduce((sum, value, i) => sum + (i % 4 === 3 && value > 0), 0);
    }""")


def test_regions_come_back_with_their_picture(page, tmp_path):
    finished(page)
    made = page.text_content("#line")
    with page.expect_download() as download:
        page.evaluate("document.getElementById('files').click()")
    download.value.save_as(tmp_path / "files.zip")
    with zipfile.ZipFile(tmp_path / "files.zip") as archive:
        names = ["mask-1.png", "photograph.png", "command.txt", "make.py"]
        assert archive.namelist() == names
        assert archive.read("command.txt").decode() == made
    page.click(".tile:nth-child(5)")
    page.click(".card button[aria-label^='Show: Regions']")
    until(lambda: page.text_content("#region-count") == " (1)")
    assert page.locator("#region-list select").input_value() == "great-wave"
    page.click("#regions summary")
    until(lambda: mask(page) > 0)
    page.click("#repaint")
    until(lambda: page.text_content("#line") == made and status(page) == "Done.")
    page.click("#regions summary")


def test_styles_of_the_page_and_own_paintings_go_together(page):
    page.click("#regions summary")
    page.select_option("#region-list select", label="Your painting 1")
    page.click("#repaint")
    until(lambda: "style-starry-night.png" in page.text_content("#line"))
    assert page.text_content("#line").startswith("jaxstyle stylize")
    page.click("#clear")
    page.click("#region-list button")
    page.click("#regions summary")
    page.click("#blend summary")
    share = page.locator("#shares input").last  # of the painting of one's own
    share.fill("50")
    share.dispatch_event("change")
    until(lambda: "style-starry-night.png=0.5" in page.text_content("#line"))
    share = page.locator("#shares input").last
    share.fill("0")
    share.dispatch_event("change")
    page.click("#blend summary")
    until(lambda: page.text_content("#line").endswith("--style starry-night"))
    finished(page)


def test_several_are_painted_and_compared(page):
    page.click("#sweep summary")
    page.fill("#across-values", "0.5 x")
    assert "give numbers" in page.text_content("#sweep-count")
    page.fill("#across-values", "50 100")
    page.select_option("#down", "polish")
    page.fill("#down-values", "1, 2")
    assert page.text_content("#sweep-count") == "4 pictures."
    page.click("#sweep-go")
    until(lambda: (page.text_content("#several-done") or "").startswith("All are done"))
    heads = page.locator("#several-table th").all_text_contents()
    assert heads == ["Strength 50", "Strength 100", "Steps 1", "Steps 2"]
    assert page.locator("#several-table img").count() == 4
    page.locator("#several-table button").nth(2).click()
    until(lambda: "--polish 2 --size 128 --strength 50" in page.text_content("#line"))
    page.click("#sweep-close")
    assert page.is_hidden("#several")
    page.click("#sweep summary")


def test_after_a_reload_everything_is_there(page):
    cards = page.locator(".card").count()
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    finished(page)
    assert page.locator(".card").count() == cards >= 4
    assert page.locator(".tile", has_text="Your painting 1").count() == 1
    until(lambda: page.is_visible("#after"))


@pytest.mark.parametrize("kind", ["png", "jpeg", "deep"])
def test_it_can_be_taken_home(page, tmp_path, kind):
    with page.expect_download() as download:
        page.click(f"#{kind}")
    name = download.value.suggested_filename
    download.value.save_as(tmp_path / name)
    assert io.read_shape(tmp_path / name) == (96, 128)
    assert io.read_settings(tmp_path / name)["command"] == "apply"


def test_it_can_be_run_again_and_deleted(page):
    card = page.locator(".card").nth(1)
    card.get_by_role("button", name="Run again").click()
    until(lambda: status(page) == "Change what you like, then paint again.")
    cards = page.locator(".card").count()
    page.locator(".card").nth(0).get_by_role("button", name="Delete").click()
    until(lambda: page.locator(".card").count() == cards - 1)


def test_the_keyboard_keeps_its_place(page):
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.value"
    page.focus("input[name=style]:checked")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == page.input_value("input[name=style]:checked")
    until(lambda: status(page) == "Done.")
    cards = page.locator(".card").count()
    page.locator(".card").nth(0).get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    until(lambda: page.locator(".card").count() == cards - 1)
    assert page.evaluate(focused).startswith("Show: ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_and_light_is_readable(page, served, chromium, width, scheme, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme,
        storage_state=json.loads(json.dumps(page.context.storage_state())),
    )  # fmt: skip
    tab = context.new_page()
    tab.goto(served.url)
    tab.wait_for_selector("html[data-ready=yes]")
    for summary in ("#more", "#regions", "#blend", "#sweep"):
        tab.click(f"{summary} summary")
    tab.get_by_role("button", name="Compare").first.click()
    tab.locator("#several-done", has_text="All are done").wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()
    tab.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 10_000
    context.close()


def test_nothing_went_wrong_and_nothing_came_from_elsewhere(page):
    assert page.wrong == []
