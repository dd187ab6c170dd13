"""The two plots a person wants first: how good the children are, and what they predict against what came true."""

import json

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metamodel.common.messages import count

__all__ = ["plot_actual_predicted", "plot_metric"]

# Ten colours can be told apart; more groups share one.
_COLOURED_GROUPS = 10

_COLOURS = [
    "#4477AA",
    "#EE6677",
    "#228833",
    "#CCBB44",
    "#66CCEE",
    "#AA3377",
    "#BBBBBB",
    "#000000",
    "#EE8866",
    "#44AA99",
]


def plot_metric(ledger: pd.DataFrame, metric: str) -> Figure:
    """Draw the distribution of a metric over the groups.

    Parameters
    ----------
    ledger
        One row a group (parents left out).
    metric
        Column, such as "holdout_rmse".
    """
    values = ledger[metric].dropna().to_numpy(dtype=np.float64)
    finite = values[np.isfinite(values)]
    figure, axes = _figure()
    if not len(finite):
        axes.text(0.5, 0.5, f"No group has a finite {metric}", ha="center", transform=axes.transAxes)
        return figure
    # A few hopeless groups would squeeze all others into one bar; they are counted in the last one instead.
    limit = float(np.quantile(finite, 0.98, method="higher"))
    shown = np.minimum(values, limit)
    # NumPy cannot cut a range into bars where there are fewer numbers than bars.
    alike = float(np.ptp(shown)) <= 1e-9 * float(np.abs(shown).max())
    axes.hist(shown, bins=1 if alike else min(30, max(5, len(values) // 5)), color=_COLOURS[0], edgecolor="white")
    median = float(np.median(values))
    axes.axvline(min(median, limit), color=_COLOURS[1], label=f"median {median:,.4g}")
    beyond = int((values > limit).sum())
    axes.set_xlabel(
        metric if not beyond else f"{metric}   ({count(beyond, 'group')} above {limit:,.4g} in the last bar)"
    )
    axes.set_ylabel("groups")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"{metric} of {count(len(values), 'group')}")
    axes.legend(frameon=False)
    return figure


def plot_actual_predicted(holdout: pd.DataFrame, target: str, task: str) -> Figure:
    """Draw what the children predicted for their holdout rows against what came true.

    Parameters
    ----------
    holdout
        `key` (encoded), `actual`, `predicted`; one row a point.
    target
        Name of the target, for the axes.
    task
        "regression": a scatter plot, coloured by group where there are few; "classification": a confusion matrix.
    """
    figure, axes = _figure()
    if not len(holdout):
        axes.text(0.5, 0.5, "There are no holdout rows", ha="center", transform=axes.transAxes)
        return figure
    (_scatter if task == "regression" else _confusion)(axes, holdout)
    axes.set_xlabel(f"actual {_plain(target)}")
    axes.set_ylabel(f"predicted {_plain(target)}")
    axes.set_title(f"{count(len(holdout), 'holdout row')} of {count(holdout['key'].nunique(), 'group')}")
    return figure


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 5.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _scatter(axes: Axes, holdout: pd.DataFrame) -> None:
    size = 14 if len(holdout) < 2000 else 6
    if holdout["key"].nunique() <= _COLOURED_GROUPS:
        for (key, rows), colour in zip(holdout.groupby("key", sort=True, observed=True), _COLOURS, strict=False):
            axes.scatter(rows["actual"], rows["predicted"], s=size, alpha=0.6, color=colour, label=_label(key), lw=0)
        axes.legend(frameon=False, markerscale=1.5, loc="upper left")
    else:
        axes.scatter(holdout["actual"], holdout["predicted"], s=size, alpha=0.4, color=_COLOURS[0], lw=0)
    low, high = holdout["actual"].min(), holdout["actual"].max()
    axes.plot([low, high], [low, high], color="#555555", lw=1, ls="--")
    # One child that extrapolates wildly must not squeeze the others into a line; what falls outside is counted.
    margin = 0.15 * ((high - low) or 1)
    axes.set_ylim(low - margin, high + margin)
    outside = int((~holdout["predicted"].between(low - margin, high + margin)).sum())
    if outside:
        axes.annotate(
            f"{count(outside, 'point')} outside", (0.99, 0.02), xycoords="axes fraction", ha="right", color="#555555"
        )


def _confusion(axes: Axes, holdout: pd.DataFrame) -> None:
    table = pd.crosstab(holdout["predicted"], holdout["actual"])
    labels = sorted(set(table.index) | set(table.columns))
    table = table.reindex(index=labels, columns=labels, fill_value=0)
    axes.imshow(table, cmap="Blues", origin="lower")
    axes.set_xticks(range(len(labels)), [_plain(str(label)) for label in labels], rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), [_plain(str(label)) for label in labels])
    if len(labels) <= 12:
        top = table.to_numpy().max()
        for (row, column), number in np.ndenumerate(table.to_numpy()):
            axes.text(
                column, row, f"{number:,}", ha="center", va="center", color="white" if number > top / 2 else "black"
            )


def _label(key: str) -> str:
    return _plain(", ".join(str(value) for value in json.loads(key)))


def _plain(text: str, limit: int = 40) -> str:
    """Show text as it is: one short line, no formula between dollar signs, and no name that a legend leaves out."""
    line = " ".join(text.split())
    cut = line if len(line) <= limit else f"{line[:limit]}…"
    return (" " if not cut or cut.startswith("_") else "") + cut.replace("$", r"\$")
