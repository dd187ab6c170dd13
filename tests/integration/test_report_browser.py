"""The report in a real browser, headless Chromium, as wide as a desk and as wide as a phone."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from browser import IN_BROWSER, Browser
from reports import train

from metamodel.bundle.reader import Bundle
from metamodel.report import render_report

DESK, PHONE = 1440, 390

pytestmark = IN_BROWSER

# Runs before the page's own content: the page's policy forbids every request, so each attempt is a violation.
WATCH = """<script>
const violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));
addEventListener("load", () => {
  const page = document.documentElement, beyond = [];
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (!element.closest(".wide, nav") && (box.right > page.clientWidth + 1 || box.left < -1))
      beyond.push(element.outerHTML.slice(0, 100));
  }
  for (const text of document.querySelectorAll("svg text")) {
    const box = text.getBBox(), view = text.ownerSVGElement.viewBox.baseVal;
    if (box.x < -2 || box.x + box.width > view.width + 2) beyond.push(text.outerHTML);
  }
  const filter = document.getElementById("filter"), head = document.querySelector("[data-sort=number]");
  const visible = () => [...document.querySelectorAll("#table tbody tr")].filter((row) => !row.hidden);
  const first = visible().length;
  filter.value = "fitted"; filter.dispatchEvent(new Event("input"));
  const filtered = visible().length;
  head.click();
  const sorted = visible().map((row) => Number(row.cells[head.cellIndex].dataset.v));
  parent.postMessage({
    width: innerWidth, scroll: page.scrollWidth, beyond, violations, first, filtered, sorted,
    cut: [...document.querySelectorAll(".pair .wide")].filter((box) => box.scrollWidth > box.clientWidth + 1)
      .map((box) => box.innerText.slice(0, 60)),
    requests: performance.getEntriesByType("resource").map((entry) => entry.name),
    text: document.body.innerText,
  }, "*");
});
</script>"""
# What the page tells is told to the page around it, since its own policy lets nobody in.
FRAME = """<!doctype html><body style="margin:0">
<iframe src="page.html" style="border:0;width:{width}px;height:{height}px"></iframe>
<script>addEventListener("message", (event) => {{
  document.body.dataset.found = JSON.stringify(event.data);
}});</script></body>"""


def look(browser: Browser, page: str, width: int, directory: Path) -> tuple[dict, np.ndarray]:
    """Open a page in the browser; what a script in it found, and the picture of it."""
    (directory / "page.html").write_text(page.replace("<style>", WATCH + "<style>", 1), encoding="utf-8")
    (directory / "frame.html").write_text(FRAME.format(width=width, height=3000), encoding="utf-8")
    picture = directory / "picture.png"
    found = browser.found_in(directory / "frame.html", max(width, 500), 3000, picture)
    return found, matplotlib.image.imread(picture)[:, :width]


@pytest.fixture(scope="module")
def seen(browser, tmp_path_factory):
    found = {}
    for kind in ("forecast", "odd names"):
        page = render_report(Bundle(train(kind, tmp_path_factory.mktemp("models")).bundle_path))
        for width in (DESK, PHONE):
            found[kind, width] = look(browser, page, width, tmp_path_factory.mktemp("browser"))
    return found


cases = pytest.mark.parametrize("kind", ["forecast", "odd names"])
widths = pytest.mark.parametrize("width", [DESK, PHONE])


@cases
@widths
def test_nothing_is_wider_than_the_page(seen, kind, width):
    found, _ = seen[kind, width]
    assert (found["width"], found["scroll"]) == (width, width)
    assert found["beyond"] == []


@cases
def test_tables_beside_a_chart_are_seen_whole_on_a_desk(seen, kind):
    found, _ = seen[kind, DESK]
    assert found["cut"] == []


@cases
def test_nothing_is_asked_of_the_network(seen, kind):
    for width in (DESK, PHONE):
        found, _ = seen[kind, width]
        assert (found["requests"], found["violations"]) == ([], [])


@cases
@widths
def test_what_the_page_opens_on_can_be_read(seen, kind, width):
    found, _ = seen[kind, width]
    for text in ("Groups with a model", "How good are the children?", "Local or global?", "Worst and best groups"):
        assert text in found["text"]


@cases
@widths
def test_the_picture_is_not_blank(seen, kind, width):
    _, picture = seen[kind, width]
    colours = (picture[..., :3] * 15).astype(np.int64) @ [256, 16, 1]
    assert len(np.unique(colours)) > 30
    # Something is drawn from top to bottom.
    assert all(part[..., :3].std() > 0.01 for part in np.array_split(picture, 8))


def test_groups_can_be_filtered_and_sorted(seen):
    found, _ = seen["forecast", DESK]
    assert found["first"] > found["filtered"] > 0
    assert found["sorted"] == sorted(found["sorted"])


def test_markup_in_a_name_is_read_as_text(seen):
    found, _ = seen["odd names", DESK]
    assert "<script>alert(1)</script>" in found["text"]
