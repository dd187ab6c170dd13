"""A map of all groups of a model: one square a group, in a block a parent; it stays readable at 50,000.

Up to `_WITH_NAMES` groups each square is an element that tells its group when it is pointed at; of more, each block is
one small picture, because a browser does not scroll over 50,000 elements.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import matplotlib.image
import numpy as np
from markupsafe import Markup

from metamodel.bundle.display import name_of
from metamodel.common.arrays import AnyArray, IntArray
from metamodel.tables.keys import GroupKey

__all__ = ["STATUSES", "group_map"]

# In the order of the legend, the worst first: a status, and its colour on light and on dark paper alike.
STATUSES: Final = {
    "performance": (194, 59, 59, 255),
    "drift": (224, 138, 60, 255),
    "ok": (63, 148, 107, 140),
    "few rows": (128, 140, 152, 130),
    "no rows": (128, 140, 152, 50),
    "no reference": (72, 127, 186, 190),
}

_CHANGED: Final = ("performance", "drift")

_WITH_NAMES: Final = 2000

# More blocks than that say nothing; the smallest ones are put together.
_BLOCKS: Final = 60


@dataclass(frozen=True)
class _Block:
    """Groups of one parent: its name, and their places."""

    name: str
    groups: IntArray


def group_map(keys: Sequence[GroupKey], statuses: Sequence[str], tips: Sequence[str]) -> Markup:
    """Draw all groups.

    Parameters
    ----------
    keys
        Their keys.
    statuses
        Of each, one of `STATUSES`.
    tips
        What each says when it is pointed at.
    """
    names = list(STATUSES)
    codes = np.array([names.index(status) for status in statuses], dtype=np.int64)
    blocks = sorted(_blocks(keys), key=lambda block: (-_changed(codes[block.groups]), -len(block.groups), block.name))
    # Blocks of 5 groups want squares that one can point at, and 50,000 groups have to fit a screen.
    side = int(np.clip(900 / math.sqrt(max(1, len(keys))), 4, 22))
    draw = _squares if len(keys) <= _WITH_NAMES else _picture
    figures = [_figure(block, codes[block.groups], draw(block, codes, tips, side), len(blocks) > 1) for block in blocks]
    return Markup('<div class="blocks">{}</div>').format(Markup("").join(figures))


def _blocks(keys: Sequence[GroupKey]) -> list[_Block]:
    """Put groups together by the first group column, if there is another one."""
    if not keys or max(map(len, keys)) < 2:
        return [_Block("", np.arange(len(keys)))]
    places: dict[GroupKey, list[int]] = {}
    for i, key in enumerate(keys):
        places.setdefault(key[:1], []).append(i)
    largest = sorted(places, key=lambda key: -len(places[key]))
    apart, rest = (largest, []) if len(largest) <= _BLOCKS else (largest[: _BLOCKS - 1], largest[_BLOCKS - 1 :])
    blocks = [_Block(name_of(key), np.array(places[key])) for key in apart]
    if rest:
        blocks.append(_Block(f"{len(rest):,} others", np.array([i for key in rest for i in places[key]])))
    return blocks


def _changed(codes: IntArray) -> float:
    return float((codes < len(_CHANGED)).mean()) if len(codes) else 0.0


def _figure(block: _Block, codes: IntArray, drawn: Markup, named: bool) -> Markup:
    changed = int((codes < len(_CHANGED)).sum())
    caption = Markup("<figcaption><b>{}</b> {}</figcaption>").format(block.name, f"{changed:,} of {len(codes):,}")
    return Markup("<figure>{}{}</figure>").format(caption if named else "", drawn)


def _across(number: int) -> int:
    """Squares in a row, for a block somewhat broader than high."""
    return max(1, math.ceil(math.sqrt(1.6 * number)))


def _squares(block: _Block, codes: IntArray, tips: Sequence[str], side: int) -> Markup:
    names = list(STATUSES)
    squares = Markup("").join(
        Markup('<i class="{}" title="{}"></i>').format(names[codes[i]].replace(" ", "-"), tips[i])
        for i in block.groups.tolist()
    )
    width = _across(len(block.groups)) * side
    return Markup('<div class="squares" style="width:{}px;grid-auto-rows:{}px;--side:{}px">{}</div>').format(
        width, side, side, squares
    )


def _picture(block: _Block, codes: IntArray, tips: Sequence[str], side: int) -> Markup:
    across = _across(len(block.groups))
    pixels: AnyArray = np.zeros((math.ceil(len(block.groups) / across) * across, 4), dtype=np.uint8)
    pixels[: len(block.groups)] = np.array(list(STATUSES.values()), dtype=np.uint8)[codes[block.groups]]
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, pixels.reshape(-1, across, 4), format="png")
    source = base64.b64encode(buffer.getvalue()).decode()
    label = f"{block.name or 'groups'}: one pixel a group"
    return Markup('<img class="pixels" alt="{}" style="width:{}px" src="data:image/png;base64,{}">').format(
        label, across * side, source
    )
