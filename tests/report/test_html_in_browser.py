"""The report in a real browser: headless Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from harness.report.record import UPSTREAM
from harness.report.words import shown
from tests.report.conftest import HOSTILE_ID, SCRIPTED
from tests.waiting import wait_until

ROWS = "#findings-table tbody tr[data-group]"
GROUPS = "#findings-table tbody tr.group"

# Of each element with text of its own: the contrast of its colour with the background that it stands on (WCAG 2.2, 1.4.3).
CONTRASTS = """
() => {
  const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || ["SCRIPT", "STYLE", "OPTION"].includes(node.tagName) || !node.getClientRects().length) continue;
    const style = getComputedStyle(node), svg = node.namespaceURI.endsWith("svg");
    const pair = [light(parse(svg ? style.fill : style.color)), light(ground(node))].sort((a, b) => b - a);
    const name = node.tagName + "." + (node.getAttribute("class") ?? "");
    found[name] = Math.min(found[name] ?? 99, (pair[0] + 0.05) / (pair[1] + 0.05));
  }
  return found;
}
"""

# What sticks out of the window, but for what lies in a box that scrolls.
STICKS_OUT = """
() => [...document.querySelectorAll("body *")].filter((node) => {
  const box = node.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 1 || box.left < -1) && !node.closest(".scroll, nav ul, .skip, caption, thead, .vh");
}).map((node) => node.outerHTML.slice(0, 120))
"""


class Opened:
    """The page in a tab, with what went wrong there and what it asked for."""

    def __init__(self, browser: Any, page: Path, **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **settings})
        self.tab = self.context.new_page()
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.problems.append(message.text))
        self.tab.on("pageerror", lambda error: self.problems.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(page.as_uri())

    def shown(self) -> list[str]:
        ids: list[str] = self.tab.eval_on_selector_all(
            ROWS, "rows => rows.filter(row => row.getClientRects().length).map(row => row.id)"
        )
        return ids

    def values(self, column: int) -> list[str]:
        cells = f"{ROWS}:not([hidden]) > :nth-child({column})"
        values: list[str] = self.tab.eval_on_selector_all(cells, "cells => cells.map(cell => cell.dataset.value)")
        return values


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Opened]:
    it = Opened(browser, page)
    yield it
    it.context.close()
    assert it.problems == []
    assert it.requests == [page.as_uri()]


def test_it_opens_and_tells_what_is_new(opened: Opened):
    assert re.match(r"\d+ new findings in safetensors 0\.8\.0", opened.tab.title())
    assert opened.tab.inner_text("h1") == opened.tab.title()
    assert re.search(r"[\d,]{3,} executions in .* of CPU time", opened.tab.inner_text("header"))
    assert re.search(r"As much time again \(.* more findings \(90 % interval\)", opened.tab.inner_text("header"))
    # The newest and worst stands first, without a click.
    assert opened.tab.locator(ROWS).first.get_attribute("data-state") == "new"


def test_text_of_inputs_is_text(opened: Opened):
    opened.tab.click("button[data-is='new']")
    opened.tab.fill("input[type=search]", "7*7")
    row = opened.tab.locator(f"[id='{HOSTILE_ID}']")
    assert opened.shown() == [HOSTILE_ID]
    assert shown(SCRIPTED)[:300] in row.inner_text()
    assert row.locator(".summary").evaluate(
        "node => [node.children.length, node.querySelector('bdi').children.length]"
    ) == [1, 0]
    assert opened.tab.evaluate("[window.owned, document.querySelectorAll('img').length, document.scripts.length]") == [
        None, 0, 1,
    ]  # fmt: skip


def until(tab: Any, expression: str) -> None:
    """Wait until an expression holds. Playwright's own way asks a second time by eval, which the page's policy forbids."""
    wait_until(lambda: tab.evaluate(expression), what=expression, pause=lambda s: tab.wait_for_timeout(1000 * s))


def test_its_policy_lets_nothing_else_run_or_load(browser: Any, page: Path):
    it = Opened(browser, page)
    it.tab.evaluate(
        """() => { window.blocked = []; addEventListener("securitypolicyviolation", (e) => blocked.push(e.violatedDirective));
        document.body.insertAdjacentHTML("beforeend", "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='><b style='color:red'>");
        const script = document.createElement("script"); script.textContent = "window.owned = 1"; document.body.append(script); }"""
    )
    assert it.tab.evaluate("fetch('http://127.0.0.1:9/').then(() => 'loaded', () => 'refused')") == "refused"
    until(it.tab, "blocked.length >= 4")
    assert set(it.tab.evaluate("blocked")) == {"connect-src", "img-src", "script-src-elem", "style-src-attr"}
    assert it.tab.evaluate("window.owned") is None
    it.context.close()


def test_filters_narrow_and_clear(opened: Opened):
    tab, every = opened.tab, opened.shown()
    tab.click("button[data-is='open']")
    assert tab.get_attribute("button[data-is='open']", "aria-pressed") == "true"
    filed = opened.shown()
    assert filed
    assert filed != every
    assert set(tab.eval_on_selector_all(f"{ROWS}:not([hidden])", "rows => rows.map(row => row.dataset.state)")) == {
        "open"
    }
    tab.select_option("select[data-filter=target]", tab.get_attribute(f"[id='{filed[0]}']", "data-target"))
    tab.fill("input[type=search]", filed[0])
    assert tab.inner_text(".status") == f"1 of {tab.locator(ROWS).count()} findings"
    tab.fill("input[type=search]", "no such words")
    assert opened.shown() == []
    tab.click("button[type=reset]")
    until(tab, f"document.querySelectorAll('{ROWS}:not([hidden])').length > 1")
    assert opened.shown() == every
    assert tab.locator("[data-filter][aria-pressed=true]").count() == 0
    tab.click("button[data-is='leniency']")
    colour = "node => getComputedStyle(node).backgroundColor"
    assert tab.eval_on_selector("button[data-is='leniency'] .mark", colour) == tab.eval_on_selector(
        f"{ROWS}[data-severity=leniency] .mark", colour
    )
    tab.select_option("select[data-filter=kind]", "differential")
    assert HOSTILE_ID in opened.shown()


def test_what_is_past_the_first_ones_is_one_button_away(opened: Opened):
    tab, whole = opened.tab, opened.tab.locator(ROWS).count()
    assert len(opened.shown()) == 25 < whole
    assert opened.tab.inner_text(".more button") == f"Show all {whole}"
    tab.evaluate("location.hash = document.querySelector('#findings-table tbody').lastElementChild.id")
    until(tab, f"document.querySelector('{ROWS}:last-child details').open")
    assert len(opened.shown()) == whole


def heads(tab: Any) -> list[str]:
    """The heads of groups that are shown, by their ids."""
    found: list[str] = tab.eval_on_selector_all(
        GROUPS, "rows => rows.filter(row => row.getClientRects().length).map(row => row.id)"
    )
    return found


def test_defects_lead_and_their_findings_stand_below_them(opened: Opened):
    tab = opened.tab
    assert tab.eval_on_selector_all("main > section", "all => all.map(one => one.id)")[:3] == [
        "new",
        "first",
        "findings",
    ]
    assert tab.locator("#new li").count() == min(10, int(tab.inner_text(".stats .alarm dd")))
    assert tab.locator("#first tbody tr").count() == 2
    groups = tab.eval_on_selector_all(GROUPS, "rows => rows.map(row => row.id)")
    assert groups == ["all-new", "open-met-again", "open-not-met", "all-open"]
    tab.click("#first a[href='#open-not-met']")
    until(tab, "document.querySelector('#open-not-met details').open")
    text = tab.inner_text("#open-not-met")
    assert "<b> not-met writes the buffer" in text
    assert "A saved file holds other values." in text
    assert "harness report --upstream not-met" in text
    assert heads(tab) == groups
    below = tab.eval_on_selector_all(f"{ROWS}[data-group=open-not-met]", "rows => rows.map(row => row.id)")
    assert len(below) == 3
    assert tab.evaluate("document.querySelector('#open-not-met').nextElementSibling.id") == below[0]


def test_filters_keep_the_heads_of_what_they_show_and_sorting_takes_them_away(opened: Opened):
    tab, groups = opened.tab, heads(opened.tab)
    tab.fill("input[type=search]", "not-met")
    assert heads(tab) == ["open-not-met"]
    assert len(opened.shown()) == 3
    tab.click("#findings-table thead button:has-text('Size')")
    assert heads(tab) == []
    assert len(opened.shown()) == 3
    tab.click("button[type=reset]")
    until(tab, f"document.querySelectorAll('{ROWS}:not([hidden])').length > 3")
    assert heads(tab) == groups
    assert tab.locator("#findings-table [aria-sort]").count() == 0


def test_the_keyboard_reaches_and_works_everything(opened: Opened):
    tab = opened.tab
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    # Links to the new findings and to the defects stand before the filters.
    for _ in range(tab.locator("#new a, #first a, #first .scroll").count() + 1):
        assert tab.evaluate("document.activeElement.dataset.filter ?? null") is None
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.dataset.filter") == "state"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Space")
    assert tab.evaluate("document.activeElement.ariaPressed") == "true"
    tab.keyboard.press("Space")
    for title, column, order in (("Size", 5, 1), ("Size", 5, -1), ("First seen", 6, 1)):
        tab.locator("#findings-table thead button", has_text=title).focus()
        tab.keyboard.press("Enter")
        head = tab.locator("#findings-table thead th", has_text=title)
        assert head.get_attribute("aria-sort") == ("ascending" if order == 1 else "descending")
        assert tab.locator("#findings-table [aria-sort]").count() == 1
        numbers = [order * float(value) for value in opened.values(column)]
        assert numbers == sorted(numbers)
        assert len(set(numbers)) > 1
    summary = tab.locator(f"{ROWS}:not([hidden]) summary").first
    summary.focus()
    tab.keyboard.press("Enter")
    assert "harness repro" in tab.locator(f"{ROWS}:not([hidden])").first.inner_text()


def test_every_link_leads_somewhere(opened: Opened, page: Path):
    addresses = opened.tab.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
    ids = set(opened.tab.eval_on_selector_all("[id]", "nodes => nodes.map(node => node.id)"))
    files = [address for address in addresses if not address.startswith(("#", "data:", f"{UPSTREAM}/"))]
    assert f"{UPSTREAM}/issues/825" in addresses
    assert {address[1:] for address in addresses if address.startswith("#")} <= ids
    assert [address for address in files if not (page.parent / unquote(address)).is_file()] == []
    assert any(address.endswith("reproduce.py") for address in files)


def test_an_input_can_be_saved_from_the_page_alone(opened: Opened):
    row = opened.tab.locator(f"[id='{HOSTILE_ID}']")
    opened.tab.fill("input[type=search]", HOSTILE_ID)
    row.locator("summary").click()
    with opened.tab.expect_download() as download:
        row.locator("a[download]").click()
    assert Path(download.value.path()).read_bytes() == b"\x00hostile\xff"
    # A download is no request to anywhere, though Chromium counts it as one.
    opened.requests[:] = [url for url in opened.requests if not url.startswith("data:")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable(browser: Any, page: Path, scheme: str):
    it = Opened(browser, page, color_scheme=scheme)
    it.tab.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    it.tab.click("button[data-is='new']")
    found = it.tab.evaluate(CONTRASTS)
    assert {"H1.", "P.lead", "P.says", "BDI.", "TD.n", "CODE.", "A.", "BUTTON.", "SPAN.aspect"} - set(found) <= {
        "SPAN.aspect"
    }
    assert {name: round(ratio, 2) for name, ratio in found.items() if ratio < 4.5} == {}
    assert (it.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 252)") == (
        scheme == "light"
    )
    it.context.close()


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_sticks_out(browser: Any, page: Path, width: int):
    it = Opened(browser, page, viewport={"width": width, "height": 900})
    it.tab.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    assert it.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert it.tab.evaluate(STICKS_OUT) == []
    it.context.close()


def test_without_scripts_and_on_paper_all_of_it_is_there(browser: Any, page: Path):
    it = Opened(browser, page, java_script_enabled=False)
    assert not it.tab.locator(".filters").is_visible()
    assert it.tab.locator(f"{ROWS}[hidden]").count() == 0
    it.context.close()
    it = Opened(browser, page)
    it.tab.emulate_media(media="print")
    assert len(it.shown()) == it.tab.locator(ROWS).count()
    assert not it.tab.locator("nav").is_visible()
    assert it.tab.pdf(format="A4").startswith(b"%PDF-")
    it.context.close()


class Structure(HTMLParser):
    """What assistive software goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.wrong: list[str] = []
        self._table: dict[str, bool] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "table":
            self._table = {"caption": False, "scope": True}
        if tag == "caption":
            self._table["caption"] = True
        if tag == "th" and "scope" not in given:
            self.wrong.append("a head without scope")
        if tag == "svg" and not (
            given.get("aria-hidden") == "true" or (given.get("role") == "img" and given.get("aria-label"))
        ):
            self.wrong.append(f"a figure that says nothing: {given}")
        if tag == "section" and not given.get("aria-labelledby"):
            self.wrong.append("a section without a name")
        if tag == "button" and not given.get("type"):
            self.wrong.append("a button that may send a form")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table" and not self._table["caption"]:
            self.wrong.append("a table without caption")


def test_its_structure_can_be_read_aloud(page: Path):
    text = page.read_text()
    found = Structure()
    found.feed(text)
    assert found.wrong == []
    assert len(found.ids) == len(set(found.ids))
    assert found.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(found.headings, found.headings[1:], strict=False))
    assert 'lang="en"' in text
