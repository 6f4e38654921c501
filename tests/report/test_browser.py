"""A page in a browser: drawn at any width, in either theme, without a word of complaint."""

import pytest

from multiace.report import Column, Page, Section, Table, write_page

from .browser import OpenPage, open_browser

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def shown(written):
    with open_browser() as browser:
        yield OpenPage(browser, written, viewport=DESKTOP, color_scheme="light")


def background(shown: OpenPage) -> str:
    return shown.page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_every_figure_is_drawn_without_complaint_or_request(shown):
    assert shown.undrawn() == []
    assert shown.complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in shown.requests)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_fits_its_window(shown, viewport):
    shown.page.set_viewport_size(viewport)
    shown.page.wait_for_function(
        """() => [...document.querySelectorAll(".plot")].every((plot) =>
             plot.querySelector(".main-svg").clientWidth <= plot.clientWidth + 1)"""
    )
    assert shown.too_wide() == []
    assert shown.undrawn() == []


def test_the_theme_follows_the_system_and_the_switch(shown):
    light = background(shown)
    shown.page.emulate_media(color_scheme="dark")
    dark = background(shown)
    assert light != dark
    shown.page.click("#theme")
    assert background(shown) == light
    shown.page.wait_for_selector('.plot[data-drawn="light"]')
    shown.page.emulate_media(color_scheme="light")


def test_a_name_of_the_legend_hides_and_shows_its_curve(shown):
    entry = shown.page.locator('#learning button[data-name="MACE"]')
    count = """() => document.querySelector("#learning .plot").querySelectorAll(".trace").length"""
    before = shown.page.evaluate(count)
    entry.click()
    shown.page.wait_for_function(f"({count})() < {before}")
    assert shown.page.evaluate(count) < before
    entry.click()
    shown.page.wait_for_function(f"({count})() === {before}")
    assert shown.page.evaluate(count) == before


def test_structures_turn_under_the_mouse_and_the_keys(shown):
    canvas = shown.page.locator("#worst canvas").first
    canvas.scroll_into_view_if_needed()

    def picture() -> str:
        return canvas.evaluate("(canvas) => canvas.toDataURL()")

    first = picture()
    canvas.drag_to(canvas, source_position={"x": 40, "y": 40}, target_position={"x": 90, "y": 60})
    second = picture()
    canvas.press("ArrowLeft")
    assert len({first, second, picture()}) == 3
    canvas.dblclick()
    assert picture() == first


def test_a_table_is_saved_as_it_would_be_written(shown):
    with shown.page.expect_download() as download:
        shown.page.click('#errors button[data-save="errors.csv"]')
    assert download.value.suggested_filename == "errors.csv"
    assert download.value.path().read_text(encoding="utf-8").startswith("run,state,parameters")


def test_a_table_wider_than_the_paper_is_printed_in_parts(shown, tmp_path):
    columns = (Column("pooling"), Column("radial"))
    columns += tuple(Column(f"number_{k}", "eV", group=f"part {k // 9}") for k in range(40))
    rows = tuple(("mean", f"MLP {row}", *(float(k) for k in range(40))) for row in range(3))
    slim = Table("slim", "Slim", columns[:3], tuple(row[:3] for row in rows))
    sections = (Section("Probes", (Table("wide", "Wide", columns, rows), slim)),)
    path = write_page(Page("A", "b", sections), tmp_path)
    opened = OpenPage(shown.page.context.browser, path, viewport=DESKTOP, color_scheme="light")
    tables = opened.page.locator("#wide table")
    names = """(tables) => tables.map((table) =>
        [...table.tHead.rows[1].cells].map((cell) => cell.textContent))"""
    (whole,) = tables.evaluate_all(names)
    opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    parts = tables.evaluate_all(names)
    assert len(parts) > 1
    assert [part[:2] for part in parts] == [whole[:2]] * len(parts)
    assert [name for part in parts for name in part[2:]] == whole[2:]
    spans = """(tables) => tables.map((table) =>
        [...table.tHead.rows[0].cells].reduce((sum, cell) => sum + cell.colSpan, 0))"""
    assert tables.evaluate_all(spans) == [len(part) for part in parts]
    beyond = """(tables) => tables.some((table) =>
        table.offsetWidth > table.parentElement.clientWidth)"""
    assert not tables.evaluate_all(beyond)
    assert opened.page.locator("#slim table").count() == 1
    opened.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert tables.evaluate_all(names) == [whole]
    assert opened.complaints == []


def test_it_prints_in_the_light_theme(shown):
    shown.page.emulate_media(color_scheme="dark")
    shown.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    shown.page.wait_for_selector('.plot[data-drawn="light"]')
    assert background(shown) == "rgb(255, 255, 255)"
    assert shown.page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    shown.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    shown.page.emulate_media(color_scheme="light")
    assert shown.complaints == []
