"""A table that is wider than a phone says so: its hidden side throws a shadow on the edge, in a real browser."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from browser import IN_BROWSER, Browser

import metamodel.report

pytestmark = IN_BROWSER

PHONE, EDGE = 390, 6

PAGE = """<!doctype html><meta name="viewport" content="width=device-width"><style>{css}
body {{ background: var(--card); width: {width}px; color-scheme: light; }} td {{ min-width: 150px; height: 60px; }}
</style>
<div class="wide" id="beginning">{wide}</div><div class="wide" id="end">{wide}</div><div class="wide">{narrow}</div>
<script>
const end = document.getElementById("end");
end.scrollLeft = end.scrollWidth;
document.body.dataset.found = JSON.stringify(
  [...document.querySelectorAll(".wide")].map((box) => [box.getBoundingClientRect().top, box.scrollWidth]));
</script>"""


def table(columns: int) -> str:
    return f"<table><tr>{'<td></td>' * columns}</tr></table>"


def darkness(picture: np.ndarray, top: float) -> tuple[float, float]:
    """How much darker than the middle the left and the right edge of a table are, in its first row of pixels."""
    line = picture[int(top) + 30, :PHONE, :3].mean(axis=1)
    middle = float(np.median(line))
    return middle - float(line[:EDGE].mean()), middle - float(line[-EDGE:].mean())


@pytest.fixture(scope="module")
def edges(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[float, float]]:
    folder = tmp_path_factory.mktemp("wide")
    css = (Path(metamodel.report.__file__).parent / "page.css").read_text(encoding="utf-8")
    path, picture = folder / "page.html", folder / "picture.png"
    source = PAGE.format(css=css, width=PHONE, wide=table(6), narrow=table(1))
    path.write_text(source, encoding="utf-8")
    boxes = browser.found_in(path, 500, 600, picture)
    assert [width > PHONE for _, width in boxes] == [True, True, False]
    pixels = matplotlib.image.imread(picture)
    return [darkness(pixels, top) for top, _ in boxes]


def test_what_goes_on_to_the_right_is_shaded_there(edges: list[tuple[float, float]]) -> None:
    left, right = edges[0]

    assert right > 0.08
    assert abs(left) < 0.02


def test_at_the_end_the_shade_is_on_the_left(edges: list[tuple[float, float]]) -> None:
    left, right = edges[1]

    assert left > 0.08
    assert abs(right) < 0.02


def test_a_table_that_fits_has_no_shade(edges: list[tuple[float, float]]) -> None:
    assert max(map(abs, edges[2])) < 0.02
