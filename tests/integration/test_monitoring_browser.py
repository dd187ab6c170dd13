"""The page of a monitored window in a real browser, headless Chromium, at desk and phone width."""

import functools
from pathlib import Path

import pytest
from browser import IN_BROWSER, Browser
from monitored_pages import page

from metamodel.tables.keys import GroupKey

pytestmark = IN_BROWSER

# Runs before the page's own policy forbids scripts and every request.
WATCH = """<script>
const violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));
addEventListener("load", () => {
  const root = document.documentElement;
  root.dataset.found = JSON.stringify({
    beyond: root.scrollWidth - root.clientWidth, violations,
    drawn: [...document.images].map((image) => image.naturalWidth),
    requests: performance.getEntriesByType("resource").map((one) => one.name).filter((name) => !/^data:/.test(name)),
  });
});
</script>"""


@functools.cache
def watched(groups: int) -> str:
    """The page of so many groups, once for all widths."""
    keys: list[GroupKey] = [(f"country {i % 9}", i) for i in range(groups)]
    source = page(keys, {key: {"price": 0.5, "(absolute error)": 2.0} for key in keys[:: max(1, groups // 60)]})
    return source.replace('<meta charset="utf-8">', f'<meta charset="utf-8">{WATCH}', 1)


@pytest.mark.parametrize("width", [1440, 500])
@pytest.mark.parametrize("groups", [5, 50_000])
def test_it_fits_and_asks_for_nothing(browser: Browser, groups: int, width: int, tmp_path: Path) -> None:
    path = tmp_path / "monitor.html"
    path.write_text(watched(groups), encoding="utf-8")

    seen = browser.found_in(path, width, 900)

    assert (seen["beyond"], seen["violations"], seen["requests"]) == (0, [], [])
    assert len(seen["drawn"]) == (9 if groups > 2000 else 0)
    assert all(pixels > 50 for pixels in seen["drawn"])
