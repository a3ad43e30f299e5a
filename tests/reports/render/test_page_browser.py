"""The page in Chromium, at a desk's and a phone's width: it works, stays within its width, and asks for nothing."""

import shutil

import pytest

from benchmarks.protocol.figures import FIGURES
from benchmarks.protocol.tables import TABLES
from data_prep import registry as catalog
from reports.extra_tables.speed import read_efficiency
from reports.figures.examples import find_figures
from reports.render.html import render
from reports.render.html_figures import figure_views
from reports.select.results import collect
from reports.tables.assemble import assemble
from reports.verdicts.summary import summarize
from tests.reports.fabricate import PROVENANCE, fill
from tests.reports.pictured import Roads, draw_masks, pretend, write_pictures
from tests.reports.timed import put

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make install")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium")

DESK, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
WIDTHS = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
DESK_FIRST = pytest.mark.parametrize(
    "size", [pytest.param(DESK, id="desk"), pytest.param(PHONE, id="phone", marks=pytest.mark.slow)]
)
"""Where the width changes nothing of what is claimed."""
LONG = "A device of 64 letters without any space, " + "x" * 64


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with two tables of results, several seeds, one collapsed row, long names, measured cost, and Figure 7."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, "deepglobe", Roads())
        manifest = write_pictures(home, Roads(), list(draw_masks(Roads(), 24)))
        for number, panel in enumerate(FIGURES["fig7"].panels):
            pretend(home, panel.model, Roads(), manifest, 0.3 - 0.1 * number)
        fill(
            home, [0.61, 0.75, 0.72, None, 0.70, None, 0.03, 0.68], table=TABLES["table1"],
            seeds=((0, 0), (1, 1)), provenance={**PROVENANCE, "device": LONG},
        )  # fmt: skip
        collection = collect(home, home / "none")
        report = assemble(tuple(TABLES.values()), collection)
        views = figure_views(find_figures(tuple(FIGURES.values()), collection, home), home)
        put(home, TABLES["table1"].rows[0].model, device=LONG, image_size=list(Roads.image_size))
        speed = read_efficiency(home).records
        text = render(report, collection, views, summarize(collection, home), speed=speed)
        assert "Dice against training time" in text
    path = home / "report.html"
    path.write_text(text)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page; afterwards nothing may have been complained of, and nothing asked for."""
    contexts, complaints, asked = [], [], []

    def opened(size, **options):
        context = browser.new_context(viewport=size, has_touch=size is PHONE, **options)
        context.set_offline(True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if url != address and not url.startswith("data:")] == []


def too_wide(page):
    """How far the page can be scrolled sideways, in pixels."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def column(table, head):
    """Texts of a column from the top, by the place of its heading."""
    place = int(head.get_attribute("data-column"))
    return [row.locator("> *").nth(place).inner_text().strip(" †\n") for row in table.locator("tbody tr").all()]


@WIDTHS
def test_the_page_keeps_its_width_and_its_silence(visit, size):
    page = visit(size)
    for state in ("as it opens", "all details open"):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert too_wide(page) <= 0, (state, scheme)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def test_on_a_phone_the_first_column_stays_and_ours_is_seen(visit):
    """In Table 5 three columns of switches filled the screen, and our number began beyond its edge."""
    page = visit(PHONE)
    page.evaluate("document.querySelectorAll('details.idle').forEach((one) => { one.open = true; })")
    for table in page.locator("table.scores:has(td.ours)").all():
        head, ours = table.locator("tbody th.label").first, table.locator("tbody td.ours").first
        before, box = head.bounding_box(), ours.bounding_box()
        assert before["x"] + before["width"] <= box["x"] + 1
        assert box["x"] + box["width"] <= PHONE["width"]
        table.evaluate("(one) => { one.closest('.scroll').scrollLeft = 120; }")
        assert head.bounding_box()["x"] == before["x"]


def test_the_width_is_measured_at_all(visit):
    """The check above would see a table that is not in a box of its own."""
    page = visit(PHONE)
    page.add_style_tag(content=".scroll { overflow: visible !important; }")
    assert too_wide(page) > 100


@DESK_FIRST
def test_a_click_and_a_key_sort(visit, size):
    page = visit(size)
    table = page.locator("#table1 table.scores").first
    head = table.locator("th.ours").first
    printed = column(table, head)
    button = head.locator("button")
    numbers = [text for text in printed if text[:2] == "0."]
    others = [text for text in printed if text[:2] != "0."]
    assert (len(numbers), "collapsed" in others, "not run" in others) == (5, True, True)

    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(table, head) == sorted(numbers, reverse=True) + others
    button.focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(table, head) == sorted(numbers) + others
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "none"
    assert column(table, head) == printed

    name = table.locator("th.label").first
    name.locator("button").click()
    assert column(table, name) == sorted(column(table, name), key=str.lower)
    assert head.get_attribute("aria-sort") == "none"


@WIDTHS
def test_the_slider_moves_and_zoom_works(visit, size):
    page = visit(size)
    viewer = page.locator(".viewer").last
    viewer.scroll_into_view_if_needed()
    stage, slider = viewer.locator(".stage"), viewer.locator("input[type=range]")
    box = stage.bounding_box()

    def cut():
        return (viewer.locator(".cut").bounding_box()["x"] + 1 - box["x"]) / box["width"]

    assert cut() == pytest.approx(0.5, abs=0.01)
    slider.focus()
    page.keyboard.press("Home")
    assert cut() == pytest.approx(0, abs=0.01)
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert cut() == pytest.approx(0.1, abs=0.01)
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.up()
    assert cut() == pytest.approx(0.7, abs=0.02)

    viewer.get_by_role("button", name="Zoom in").click()
    wide = stage.locator("img").first.bounding_box()
    assert wide["width"] == pytest.approx(1.5 * box["width"], abs=2)
    stage.focus()
    page.keyboard.press("0")
    assert stage.locator("img").first.bounding_box()["width"] == pytest.approx(box["width"], abs=2)
    assert too_wide(page) <= 0


def test_any_two_pictures_of_a_scene_can_be_compared(visit):
    page = visit(DESK)
    figure = page.locator("section:has(> .viewer)").last
    viewer, images = figure.locator(".viewer"), figure.locator(".stage img")

    def source(scene, title):
        return (
            figure.locator("tr[data-scene]").nth(scene).locator(f".shot[data-title='{title}'] img").get_attribute("src")
        )

    viewer.locator("select[name=left]").select_option("image")
    viewer.locator("select[name=right]").select_option("truth")
    assert [image.get_attribute("src") for image in images.all()] == [source(0, "image"), source(0, "truth")]
    viewer.locator("select[name=scene]").select_option("1")
    assert [image.get_attribute("src") for image in images.all()] == [source(1, "image"), source(1, "truth")]
    figure.locator("tr[data-scene]").nth(2).locator(".shot[data-title='RS-SAM']").click()
    assert [image.get_attribute("src") for image in images.all()] == [source(2, "image"), source(2, "RS-SAM")]
    assert len({source(0, "image"), source(1, "image"), source(0, "truth"), source(2, "RS-SAM")}) == 4


@DESK_FIRST
def test_a_number_tells_where_it_comes_from(visit, size):
    page = visit(size)
    number = page.locator("#table1 button.number").first
    facts = page.locator(f"[id='{number.get_attribute('popovertarget')}']")
    assert not facts.is_visible()
    if size is PHONE:
        number.tap()
    else:
        number.hover()
    facts.wait_for(state="visible")
    page.wait_for_timeout(600)
    assert facts.is_visible()
    assert "results/deepglobe-fcn-" in facts.inner_text()
    if size is DESK:
        shown, of = facts.bounding_box(), number.bounding_box()
        assert shown["y"] >= of["y"] + of["height"] or shown["y"] + shown["height"] <= of["y"], "it covers its number"
    assert too_wide(page) <= 0
    page.keyboard.press("Escape")
    assert not facts.is_visible()
    number.focus()
    page.keyboard.press("Enter")
    assert facts.is_visible()


def test_colours_follow_the_system_and_the_switch(visit):
    def brightness(page):
        return page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")

    page = visit(DESK, color_scheme="dark")
    assert max(brightness(page)) < 60
    page.locator(".theme").click()
    assert min(brightness(page)) > 200
    page.reload()
    assert min(brightness(page)) > 200, "a choice is kept"
    light = visit(DESK, color_scheme="light")
    assert min(brightness(light)) > 200


def test_paper_is_white_whatever_the_screen(visit):
    page = visit(DESK, color_scheme="dark")
    page.emulate_media(media="print")
    ink = page.evaluate("getComputedStyle(document.body).color.match(/\\d+/g).slice(0, 3).map(Number)")
    assert max(ink) < 60
    assert not page.locator(".bar").is_visible()


@WIDTHS
def test_it_reads_without_a_script(visit, size):
    page = visit(size, java_script_enabled=False)
    assert page.locator("#table1 table.scores").first.is_visible()
    assert page.locator(".matrix img").count() >= 2
    assert not page.locator(".viewer").first.is_visible()
    number = page.locator("#table1 button.number").first
    number.click()
    assert page.locator(f"[id='{number.get_attribute('popovertarget')}']").is_visible()
