"""Small charts as inline SVG: they scale with the page, follow its colours, and need nothing from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.ticker import MaxNLocator

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count
from metamodel.report.formatting import number, percent

__all__ = ["histogram", "over_time", "scatter", "shares"]

_SIZE = (380, 200)

_SMALL = (260, 180)

# Width of a digit in the pictures' own units.
_DIGIT = 7

# A point or two too many would make a page of many charts heavy.
_POINTS = 150

_LEGEND = (
    '<text class="label" x="258" y="9" text-anchor="end"><tspan class="actual-text">━ actual</tspan> '
    '<tspan class="predicted-text">━ predicted</tspan></text>'
)


@dataclass(frozen=True)
class _Axes:
    """Where data lie in a picture; `left` and `bottom` leave room for the numbers on the axes."""

    width: int
    height: int
    x: tuple[float, float]
    y: tuple[float, float]
    bottom: int = 30

    @cached_property
    def left(self) -> int:
        longest = max((len(number(tick)) for tick in _ticks(self.y, 4)), default=0)
        return max(40, 8 + _DIGIT * longest)

    def at_x(self, values: Any) -> Any:
        share = (np.asarray(values, dtype=np.float64) - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        return self.left + share * (self.width - self.left - 10)

    def at_y(self, values: Any) -> Any:
        share = (np.asarray(values, dtype=np.float64) - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return self.height - self.bottom - share * (self.height - self.bottom - 18)

    def frame(self, x_ticks: Sequence[tuple[float, str]], x_label: str, y_label: str = "") -> str:
        """Grid, numbers and labels."""
        parts = []
        for tick in _ticks(self.y, 4, whole=y_label == "groups"):
            y = self.at_y(tick)
            parts.append(f'<path class="grid" d="M{self.left} {y:.1f}H{self.width - 10}"/>')
            parts.append(f'<text x="{self.left - 4}" y="{y + 3.5:.1f}" text-anchor="end">{escape(number(tick))}</text>')
        base = self.height - self.bottom
        for tick, text in x_ticks:
            x = self.at_x(tick)
            anchor = "end" if x > self.width - 30 else "start" if x < self.left + 12 else "middle"
            parts.append(f'<text x="{x:.1f}" y="{base + 12}" text-anchor="{anchor}">{escape(text)}</text>')
        parts.append(f'<path class="axis" d="M{self.left} {base}H{self.width - 10}"/>')
        middle = (self.left + self.width - 10) / 2
        parts.append(
            f'<text class="label" x="{middle:.0f}" y="{self.height - 4}" text-anchor="middle">{escape(x_label)}</text>'
        )
        if y_label:
            parts.append(f'<text class="label" x="2" y="9">{escape(y_label)}</text>')
        return "".join(parts)


def histogram(values: AnyArray, label: str, *, lowest: float | None = None) -> Markup:
    """Draw how a figure is distributed over the groups.

    Parameters
    ----------
    values
        One a group; missing ones are left out, infinite ones are counted in the outermost bars.
    label
        What the figure is.
    lowest
        Of a figure whose sign matters: what lies below is counted in the first bar. Bars below zero have a colour of
        their own.
    """
    values = values[~np.isnan(values)]
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Markup('<p class="none">No group has a finite {}.</p>').format(label)
    # A few hopeless groups would squeeze all others into one bar; they are counted in the outermost bars instead.
    low = float(finite.min()) if lowest is None else max(float(finite.min()), lowest)
    high = float(np.quantile(finite, 0.98, method="higher"))
    # NumPy cannot cut a range into bars where there are fewer numbers than bars.
    alike = high - low <= 1e-9 * max(abs(low), abs(high))
    low, high = (high - 0.5, high + 0.5) if alike else (low, high)
    edges = np.linspace(low, high, 1 + min(28, max(6, len(values) // 4)))
    heights, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
    axes = _Axes(*_SIZE, (edges[0], edges[-1]), (0, float(heights.max())))
    bars = []
    for i, height in enumerate(heights.tolist()):
        x, right, y = axes.at_x(edges[i]), axes.at_x(edges[i + 1]), axes.at_y(height)
        kind = "bad" if lowest is not None and edges[i + 1] <= 1e-12 else "bar"
        tip = f"{number(edges[i])} to {number(edges[i + 1])}: {count(height, 'group')}"
        bars.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(right - x - 1, 1):.1f}" '
            f'height="{axes.at_y(0) - y:.1f}"><title>{escape(tip)}</title></rect>'
        )
    median = float(np.median(values))
    beyond = int((values > edges[-1]).sum() + (values < edges[0]).sum())
    more = f" · {count(beyond, 'group')} beyond the edge" if beyond else ""
    body = axes.frame([(t, number(t)) for t in _ticks(axes.x, 5)], f"{label}{more}", "groups")
    return _svg(*_SIZE, body + "".join(bars) + _median(axes, median), f"{label} of {count(len(values), 'group')}")


def _median(axes: _Axes, median: float) -> str:
    if not axes.x[0] <= median <= axes.x[1]:
        return ""
    x = axes.at_x(median)
    anchor, shift = ("end", -4) if x > axes.width / 2 else ("start", 4)
    return (
        f'<path class="median" d="M{x:.1f} 4V{axes.height - axes.bottom}"/>'
        f'<text class="mark" x="{x + shift:.1f}" y="12" text-anchor="{anchor}">median {escape(number(median))}</text>'
    )


def scatter(actual: AnyArray, predicted: AnyArray) -> Markup:
    """Draw what one child predicted against what came true."""
    actual, predicted, lost = _drawable(actual, predicted)
    if not len(actual):
        return Markup('<p class="none">No finite prediction to draw.</p>')
    low, high = _padded(float(actual.min()), float(actual.max()))
    inside = (predicted >= low) & (predicted <= high)
    axes = _Axes(*_SMALL, (low, high), (low, high))
    shown = _evenly(np.flatnonzero(inside))
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'
        for x, y in zip(axes.at_x(actual[shown]), axes.at_y(predicted[shown]), strict=True)
    )
    ends = [f"{axes.at_x(value):.1f} {axes.at_y(value):.1f}" for value in (low, high)]
    line = f'<path class="ideal" d="M{ends[0]}L{ends[1]}"/>'
    label = "actual" + _outside(int((~inside).sum()) + lost)
    body = axes.frame([(t, number(t)) for t in _ticks(axes.x, 4)], label, "predicted") + line + dots
    return _svg(*_SMALL, body, f"{count(len(actual), 'held-out row')}: predicted against actual")


def over_time(times: pd.Series, actual: AnyArray, predicted: AnyArray) -> Markup:
    """Draw one child's forecast of the held-out rows beside what came true."""
    when = times.to_numpy()
    numbers = when.astype("datetime64[us]").astype(np.float64) if when.dtype.kind == "M" else when.astype(np.float64)
    good = np.isfinite(numbers) & np.isfinite(actual)
    numbers, actual, predicted = numbers[good], actual[good], predicted[good]
    if not len(actual):
        return Markup('<p class="none">No held-out row to draw.</p>')
    low, high = _padded(float(actual.min()), float(actual.max()), 0.35)
    axes = _Axes(*_SMALL, (float(numbers.min()), float(numbers.max())), (low, high))
    inside = (predicted >= low) & (predicted <= high)
    order = np.argsort(numbers, kind="stable")
    # A line only where there is one value a moment.
    draw = _line if len(np.unique(numbers)) == len(numbers) else _dots
    body = draw(axes, numbers, actual, _evenly(order), "actual")
    body += draw(axes, numbers, predicted, _evenly(order[inside[order]]), "predicted")
    ends = [(float(numbers[i]), _moment(when[good][i])) for i in dict.fromkeys((int(order[0]), int(order[-1])))]
    frame = axes.frame(ends, _outside(int((~inside).sum())).removeprefix(" · "))
    return _svg(*_SMALL, frame + body + _LEGEND, f"Forecast of {count(len(actual), 'held-out row')} over time")


def _line(axes: _Axes, x: AnyArray, y: AnyArray, shown: AnyArray, kind: str) -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(axes.at_x(x[shown]), axes.at_y(y[shown]), strict=True))
    return f'<polyline class="{kind}" points="{points}"/>' if len(shown) > 1 else _dots(axes, x, y, shown, kind)


def _dots(axes: _Axes, x: AnyArray, y: AnyArray, shown: AnyArray, kind: str) -> str:
    pairs = zip(axes.at_x(x[shown]), axes.at_y(y[shown]), strict=True)
    return "".join(f'<circle class="{kind}-dot" cx="{a:.1f}" cy="{b:.1f}" r="2.2"/>' for a, b in pairs)


def shares(parts: Sequence[tuple[str, float, str]]) -> Markup:
    """Draw how a whole divides: a bar with one piece a part, and its legend.

    Parameters
    ----------
    parts
        Name, number, and class of colour.
    """
    total = sum(size for _, size, _ in parts)
    if not total:
        return Markup("")
    pieces = Markup("").join(
        Markup('<span class="{}" style="flex-grow:{}" title="{}: {}"></span>').format(kind, size / total, name, size)
        for name, size, kind in parts
        if size
    )
    legend = Markup("").join(
        Markup('<li><i class="{}"></i>{} <b>{}</b> <small>{}</small></li>').format(
            kind, name, number(size), percent(size / total)
        )
        for name, size, kind in parts
    )
    return Markup('<div class="shares">{}</div><ul class="legend">{}</ul>').format(pieces, legend)


def _svg(width: int, height: int, body: str, label: str) -> Markup:
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(f"{head}{body}</svg>")  # every text in it went through `escape`


def _ticks(ends: tuple[float, float], wanted: int, *, whole: bool = False) -> list[float]:
    steps = [1, 2, 5, 10] if whole else [1, 2, 2.5, 5, 10]
    found = MaxNLocator(wanted, steps=steps, integer=whole).tick_values(*ends)
    margin = 1e-9 * (ends[1] - ends[0])
    return [float(tick) for tick in found if ends[0] - margin <= tick <= ends[1] + margin]


def _padded(low: float, high: float, margin: float = 0.15) -> tuple[float, float]:
    pad = margin * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _drawable(actual: AnyArray, predicted: AnyArray) -> tuple[AnyArray, AnyArray, int]:
    good = np.isfinite(actual) & np.isfinite(predicted)
    return actual[good], predicted[good], int((~good).sum())


def _evenly(rows: AnyArray) -> AnyArray:
    return rows if len(rows) <= _POINTS else rows[np.linspace(0, len(rows) - 1, _POINTS).astype(np.int64)]


def _outside(number_outside: int) -> str:
    return f" · {count(number_outside, 'point')} outside" if number_outside else ""


def _moment(value: Any) -> str:
    if isinstance(value, np.datetime64):
        stamp = pd.Timestamp(value)
        return stamp.strftime("%Y-%m-%d" if stamp == stamp.normalize() else "%Y-%m-%d %H:%M")
    return number(float(value))
