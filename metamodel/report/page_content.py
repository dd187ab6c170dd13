"""What the report says, worked out from a bundle's own files: no HTML here, and no model is loaded."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from metamodel.bundle.carry.told import update_counts, update_lines
from metamodel.bundle.display import name_of
from metamodel.bundle.ledger_queries import deciding_metric, keys_of, who_answers, worst_first
from metamodel.bundle.manifest import Manifest
from metamodel.common.group_status import WITH_CHILD
from metamodel.evaluation.metrics import METRICS, aggregate
from metamodel.evaluation.significance import saved_together
from metamodel.report.charts import histogram, shares
from metamodel.report.group_chart import picture
from metamodel.report.parents import LocalOrGlobal, with_adjusted
from metamodel.report.rows import ENOUGH_ROWS, EXAMPLES, floats, records
from metamodel.tables.keys import decode_key, encode_keys

__all__ = ["Facts"]

_CARDS = 6

_TABLE_ROWS, _TABLE_WITHOUT_CHILD = 1000, 300

_FEATURES = 15


@dataclass(frozen=True)
class Card:
    """One group with a picture of its held-out rows."""

    name: str
    metric: float
    rows: int
    held_out: int
    picture: Markup


@dataclass(frozen=True)
class Facts:
    """All that the page shows.

    Parameters
    ----------
    manifest, ledger
        The bundle's.
    holdout, importance
        The bundle's, or None.
    permuted
        From `permute_worst`, where it was asked for.
    """

    manifest: Manifest
    ledger: pd.DataFrame
    holdout: pd.DataFrame | None
    importance: pd.DataFrame | None
    permuted: pd.DataFrame | None = None

    @property
    def task(self) -> str:
        """Regression or classification."""
        return self.manifest.target.task

    @cached_property
    def named(self) -> pd.DataFrame:
        """The ledger with `name` and `encoded` of every key."""
        keys = keys_of(self.ledger, self.manifest.keys)
        return self.ledger.assign(name=[name_of(key) for key in keys], encoded=encode_keys(keys))

    @cached_property
    def children(self) -> pd.DataFrame:
        """The ledger's rows of the groups themselves."""
        return with_adjusted(self.named[self.named["level"] == len(self.manifest.keys.columns)])

    @cached_property
    def fitted(self) -> pd.DataFrame:
        """The groups with a child."""
        return self.children[self.children["status"].isin(WITH_CHILD)]

    @cached_property
    def metric(self) -> str:
        """Ledger column that groups are judged by."""
        return deciding_metric(self.children, self.task)

    @cached_property
    def updated(self) -> list[str]:
        """What was retrained and why, who won, and what that gains; empty for a training from nothing."""
        manifest, statuses = self.manifest, self.children["status"].value_counts()
        parts = {
            "fallback": manifest.unknown == "fallback",
            "blended": manifest.options.get("shrinkage") is not None,
        }
        counts = update_counts(self.ledger, manifest.keys, manifest.levels, **parts)
        lines = update_lines(counts, int(statuses.get("carried", 0)), int(statuses.get("retired", 0)))
        return [f"{title.capitalize()}: {text}." for title, text in lines]

    @property
    def metric_name(self) -> str:
        """That metric for people."""
        part, _, metric = self.metric.partition("_")
        return f"{_NAMES.get(metric, metric)} on {'held-out' if part == 'holdout' else 'training'} rows"

    @property
    def has_holdout(self) -> bool:
        """Whether groups are judged on rows that they have not seen."""
        return self.metric.startswith("holdout") and bool(self.children[self.metric].notna().any())

    @cached_property
    def primary(self) -> dict[str, Any]:
        """Statistics of the deciding metric."""
        summary = aggregate(self.fitted, self.task)
        return {name: summary.get(f"{self.metric}_{name}") for name in ("mean", "median", "p10", "p90", "worst")}

    @cached_property
    def metrics(self) -> list[tuple[str, list[Any]]]:
        """Every metric's statistics over the groups, those on held-out rows first."""
        summary = aggregate(self.fitted, self.task)
        return [
            (f"{_NAMES[metric]}, {title}", [summary.get(f"{part}_{metric}_{name}") for name in STATISTICS])
            for part, title in (
                ("holdout", "held-out rows"),
                ("baseline", "baseline"),
                ("train", "training rows"),
            )
            for metric in METRICS[self.task]
            if f"{part}_{metric}_mean" in summary
        ]

    def metric_picture(self) -> Markup:
        """Distribution of the deciding metric."""
        return histogram(floats(self.fitted, self.metric), self.metric_name)

    @cached_property
    def skill(self) -> pd.Series | None:
        """Each child's skill against the baseline, where the ledger has it."""
        if "skill" not in self.fitted or not self.fitted["skill"].notna().any():
            return None
        return self.fitted["skill"].astype(np.float64).dropna()

    def baselines(self) -> list[tuple[str, int, int, float]]:
        """Which baseline is hardest to beat: its name, groups, how many beat it, and their median skill."""
        judged = self.fitted[self.fitted["skill"].notna()]
        found = [(name, part["skill"].astype(float)) for name, part in judged.groupby("baseline")]
        rows = [
            (_BASELINES.get(str(name), str(name)), len(s), int((s > 0).sum()), float(s.median())) for name, s in found
        ]
        return sorted(rows, key=lambda row: -row[1])

    @cached_property
    def blended(self) -> pd.Series:
        """Of each child's own error, the share that blending with its parents saves; empty without shrinkage."""
        return self.fitted.get("blended_skill", pd.Series(dtype=np.float64)).dropna()

    def skill_picture(self) -> Markup:
        """Distribution of the skill."""
        assert self.skill is not None
        return histogram(self.skill.to_numpy(), "skill", lowest=-1)

    @cached_property
    def local(self) -> LocalOrGlobal:
        """How the children stand against their parents."""
        return LocalOrGlobal(self.children, self._rows_held)

    @cached_property
    def rivals(self) -> dict[str, float]:
        """All children together against the pooled and the global model, where there was a pooled one."""
        return {} if self.holdout is None else saved_together(self.holdout, self.task)

    def worst(self) -> list[Card]:
        """Show the worst groups with what they predicted."""
        return self._cards(worst_first(self.fitted, self.metric))

    def best(self) -> list[Card]:
        """Show the best groups; those judged on a handful of rows come last, for they may be lucky."""
        ranked = worst_first(self.fitted, self.metric).iloc[_CARDS:][::-1]  # never one that is among the worst too
        many = ranked["encoded"].map(self._rows_held).fillna(0).astype(np.int64) >= ENOUGH_ROWS
        return self._cards(pd.concat([ranked[many], ranked[~many]]))

    @cached_property
    def _rows_held(self) -> dict[str, int]:
        if self.holdout is None:
            return {}
        return {str(key): int(rows) for key, rows in self.holdout["key"].value_counts().items()}

    def _cards(self, ranked: pd.DataFrame) -> list[Card]:
        cards = []
        for row in ranked.head(_CARDS).to_dict(orient="records"):
            held = None if self.holdout is None else self.holdout[self.holdout["key"] == row["encoded"]]
            drawn = Markup("") if held is None or not len(held) else picture(held, self.task)
            cards.append(Card(row["name"], row[self.metric], row["rows"], 0 if held is None else len(held), drawn))
        return cards

    def reasons(self) -> list[dict[str, Any]]:
        """Why groups and parents have no model, the commonest first."""
        lost = self.named[~self.named["status"].isin(WITH_CHILD)]
        what = lost["reason"].map(lambda reason: str(reason).partition(":")[0].strip())
        text = lost["error"].where(lost["error"] != "", what).str.slice(0, 300)
        found = []
        for (status, reason), part in lost.groupby(["status", text], sort=False):
            names = part["name"].head(3).tolist()
            groups = int((part["level"] == len(self.manifest.keys.columns)).sum())
            parents = len(part) - groups
            found.append({"status": status, "reason": reason, "groups": groups, "parents": parents, "examples": names})
        return sorted(found, key=lambda row: (-row["groups"], -row["parents"]))[:20]

    def answers(self) -> Markup:
        """Who answers for the training rows."""
        counts = who_answers(self.ledger, self.manifest.keys, self.manifest.answering_chain)
        columns = self.manifest.keys.names
        parts = []
        for who, (_, rows) in counts.items():
            level = int(who.partition(":")[2] or 0)
            parent = f"the model of {', '.join(columns[:level])}" if level else "the global model"
            title = _WHO.get(who, parent)
            colours = {"child": "good", "pooled": "even", "nobody": "bad"}
            parts.append((title, float(rows), colours.get(who, f"level-{level % 4}")))
        return shares(parts)

    @cached_property
    def importances(self) -> list[dict[str, Any]]:
        """Mean importance of each feature over the groups, the largest first."""
        if self.importance is None or not len(self.importance):
            return []
        table = self.importance[self.importance["level"] == len(self.manifest.keys.columns)]
        groups = table["key"].nunique()
        ranked = table.groupby("feature", observed=True)["share"]
        # A feature that a group leaves out of its list counts nothing there.
        means = (ranked.sum() / max(groups, 1)).sort_values(ascending=False, kind="stable").head(_FEATURES)
        wide = {name: part.to_numpy() for name, part in ranked if name in means.index}
        return [
            {
                "feature": str(name),
                "mean": float(mean),
                "p10": float(np.quantile(_filled(wide[name], groups), 0.1)),
                "p90": float(np.quantile(_filled(wide[name], groups), 0.9)),
                "groups": groups,
            }
            for name, mean in means.items()
        ]

    def permutations(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Say for each group that was looked into which features count most."""
        if self.permuted is None:
            return []
        return [
            (name_of(decode_key(str(key))), records(part.head(EXAMPLES)))
            for key, part in self.permuted.groupby("key", sort=False)
        ]

    @cached_property
    def fitted_now(self) -> pd.DataFrame:
        """All rows of the ledger but those of the version before, which took no time in this training."""
        return self.named[self.named["status"] != "carried"]

    def slowest(self) -> list[dict[str, Any]]:
        """Find the groups and parents that took longest."""
        return records(self.fitted_now.sort_values("seconds", ascending=False, kind="stable").head(EXAMPLES))

    def seconds_by_level(self) -> list[tuple[str, int, float, float]]:
        """Time spent on each level: its name, groups, total and median seconds."""
        names = self.manifest.keys.names
        return [
            (", ".join(names[: int(level)]) or "global", len(part), part["seconds"].sum(), part["seconds"].median())
            for level, part in sorted(self.fitted_now.groupby("level"), reverse=True)
        ]

    @cached_property
    def table(self) -> list[dict[str, Any]]:
        """Groups for the long table: some of those without a child, then the worst ones."""
        lost = self.children[~self.children["status"].isin(WITH_CHILD)].head(_TABLE_WITHOUT_CHILD)
        ranked = worst_first(self.fitted, self.metric)
        rest = self.fitted[self.fitted[self.metric].isna()]
        return records(pd.concat([lost, ranked, rest]).head(_TABLE_ROWS))

    def estimators(self) -> list[tuple[str, int]]:
        """Which estimator was chosen how often."""
        return [(str(name), int(number)) for name, number in self.children["estimator"].value_counts().items() if name]

    @property
    def warm(self) -> int:
        """Children that went on from an earlier version's."""
        return int((self.children["started_from"] != "").sum()) if "started_from" in self.children else 0

    def settings(self) -> Iterator[tuple[str, Any]]:
        """Options of the training."""
        for name, value in self.manifest.options.items():
            if name != "candidates" and value not in (None, "", ()):
                yield name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else value


_BASELINES = {
    "mean": "the mean",
    "majority": "the commonest label",
    "last": "the last value",
    "seasonal": "the value a season ago",
}

STATISTICS = ("mean", "median", "p10", "p90", "worst")

# Who answers training rows, parents aside.
_WHO = {
    "child": "the group's own child",
    "pooled": "the pooled model, which knows the group columns",
    "nobody": "nobody (null)",
}

_NAMES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "accuracy": "accuracy",
    "f1_macro": "macro F1",
    "log_loss": "log loss",
}


def _filled(values: Any, length: int) -> Any:
    return np.concatenate([values, np.zeros(max(length - len(values), 0))])
