"""One group's held-out rows as a picture."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from metamodel.report.charts import over_time, scatter

__all__ = ["picture"]

_CLASSES = 6


def picture(held: pd.DataFrame, task: str) -> Markup:
    """Draw a group's held-out rows: labels as a table, numbers over time or against each other."""
    actual, predicted = held["actual"].to_numpy(), held["predicted"].to_numpy()
    if task == "classification":
        return _confusion(actual, predicted)
    if "time" in held:
        return over_time(held["time"], actual, predicted)
    return scatter(actual, predicted)


def _confusion(actual: Any, predicted: Any) -> Markup:
    """Count labels in a small table: actual ones down, predicted ones across, rare ones together."""
    text = pd.DataFrame({"actual": actual, "predicted": predicted}).astype(str)
    common = pd.concat([text["actual"], text["predicted"]]).value_counts().head(_CLASSES).index
    labels = sorted(common)
    text = text.where(text.isin(labels), "other")
    labels += ["other"] if (text == "other").any(axis=None) and "other" not in labels else []
    numbers = pd.crosstab(text["actual"], text["predicted"]).reindex(index=labels, columns=labels, fill_value=0)
    return _confusion_table(labels, numbers.to_numpy())


def _confusion_table(labels: Sequence[str], numbers: Any) -> Markup:
    top = max(int(numbers.max()), 1)
    head = Markup("").join(Markup("<th>{}</th>").format(label[:12]) for label in labels)
    body = Markup("").join(
        Markup("<tr><th>{}</th>{}</tr>").format(
            label[:12],
            Markup("").join(
                Markup('<td class="{}" style="--heat:{:.2f}">{}</td>').format(
                    "hit" if i == j else "miss", number / top, number or ""
                )
                for j, number in enumerate(row)
            ),
        )
        for i, (label, row) in enumerate(zip(labels, numbers.tolist(), strict=True))
    )
    caption = Markup("<caption>actual ↓ predicted →</caption>")
    return Markup('<div class="wide"><table class="confusion">{}<tr><th></th>{}</tr>{}</table></div>').format(
        caption, head, body
    )
