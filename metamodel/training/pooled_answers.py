"""Let the pooled model answer where it is better: groups of the training, and groups that nobody knows.

The pooled model is a candidate of every group, and its rival is who would answer the group without it: its own child,
or the parent in whose favour the child was pruned. Both are judged on the held-out rows that neither has seen, by the
loss that children and parents are compared by (`metamodel.evaluation.significance`), and all groups decide together as
they do among candidates (`metamodel.evaluation.pooled_selection`): a few rows of one group decide nothing alone. Where
nobody asked for it (`pooled="auto"`) it answers only where it is clearly better, as children are pruned by default.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import encoded_keys_of, keys_of
from metamodel.bundle.writer import add_pooled, prune_children
from metamodel.common.arrays import AnyArray
from metamodel.common.group_status import POOLED
from metamodel.common.messages import count
from metamodel.evaluation.conformal import radius_of
from metamodel.evaluation.holdout import POOLED_COLUMN, level_column
from metamodel.evaluation.pooled_selection import Contest, choose_together
from metamodel.evaluation.predictions import Predictions
from metamodel.evaluation.pruning import ENOUGH_ROWS
from metamodel.evaluation.significance import SIGNIFICANT, adjusted, nearest_parent, paired_p_values, verdicts
from metamodel.fitting.estimator_info import has_method
from metamodel.fitting.spec import FitSpec
from metamodel.prediction.pooled_model import pooled_columns
from metamodel.tables.checks import Finding
from metamodel.tables.keys import decode_key
from metamodel.training.engines.pooled import why_no_pooled
from metamodel.training.engines.task import TaskResult
from metamodel.training.plan import Plan

__all__ = ["PooledAnswers", "choose_pooled"]

_OWN = "own"


@dataclass(frozen=True)
class PooledAnswers:
    """Whom the pooled model answers.

    Attributes
    ----------
    ledger
        With the status of groups that it answers, and why.
    reasons
        Encoded key → reason of these groups.
    described
        For the manifest; None where it answers nobody, and is not stored.
    """

    ledger: pd.DataFrame
    reasons: Mapping[str, str] = field(default_factory=dict)
    described: dict[str, Any] | None = None
    shard: Path | None = None

    def store(self, directory: Path) -> None:
        """Put the pooled model into an unfinished bundle, in the place of children of groups that it answers."""
        prune_children(directory, self.reasons, POOLED)
        if self.described is not None and self.shard is not None:
            add_pooled(directory, self.shard)

    def answers(self, holdouts: Mapping[int, pd.DataFrame]) -> dict[int, pd.DataFrame]:
        """Put what it says in the place of what the children of these groups said of held-out rows."""
        if not self.reasons:
            return dict(holdouts)
        depth = max(holdouts)
        held = holdouts[depth]
        by_pooled = held["key"].isin(list(self.reasons))
        return {**holdouts, depth: held.assign(predicted=held["predicted"].where(~by_pooled, held[POOLED_COLUMN]))}

    def findings(self) -> list[Finding]:
        """Say that many groups have no model of their own."""
        if self.described is None:
            return []
        children = self.ledger[self.ledger["level"] == self.ledger["level"].max()]
        unknown = self.described["answers_unknown"]
        strangers = ", and unknown groups, better than the global model on groups not seen" if unknown else ""
        text = (
            f"One model of all groups that knows the group columns answers {len(self.reasons):,} of "
            f"{count(len(children), 'group')}, better than a model of their own on held-out rows{strangers}. "
            "See the ledger's column reason; pooled=False leaves it out."
        )
        return [Finding("pooled", (), text)]


@dataclass(frozen=True)
class Rivals:
    """The tasks of models of all groups: the pooled one, and how it and the global one did on groups not seen."""

    pooled: TaskResult | None = None
    pooled_strangers: TaskResult | None = None
    global_strangers: TaskResult | None = None

    def plus(self, result: TaskResult) -> "Rivals":
        """Take one more in."""
        if not result.strangers:
            return replace(self, pooled=result)
        return replace(self, **{"pooled_strangers" if result.pooled else "global_strangers": result})

    def missing(self, plan: Plan) -> list[Finding]:
        """Say why a model of all groups is missing: it costs too much, or its fit failed."""
        if plan.only is not None and not all(map(plan.fits, plan.sizes)):
            return []  # it is taken over from the version before
        pooled, unseen = "model of all groups that knows the group columns", "asked of groups that it has not seen"
        why = why_no_pooled(plan)
        texts = [f"There is no {pooled}: {why}"] if why else []
        for result, what in (
            (self.pooled, f"The {pooled} could not be fitted, and answers nobody"),
            (self.pooled_strangers, f"The {pooled} could not be {unseen}"),
            (self.global_strangers, f"The global model could not be {unseen}"),
        ):
            if result is not None and result.ledger[0].status != "fitted":
                error = result.ledger[0].error or result.ledger[0].reason
                texts.append(f"{what}: {error.rstrip('.')}. pooled=False does without.")
        return [Finding("pooled", (), text) for text in texts]

    def of_strangers(self, regression: bool, interval: float | None) -> dict[str, Any]:
        """Compare both on the same rows of groups that neither has seen; each group counts once.

        Returns
        -------
        dict
            Empty where it was not tried. `groups` and `rows` held back, `error` and `error_global`: mean loss of both,
            a mean over groups; `p_value`; `radius`: of intervals of the pooled model's answers, or None.
        """
        results = [self.pooled_strangers, self.global_strangers]
        tables = [result.evidence.holdout.to_pandas() for result in results if result and result.evidence.holdout]
        if len(tables) < 2 or tables[0]["row"].tolist() != tables[1]["row"].tolist():
            return {}
        actual = tables[0]["actual"].to_numpy()
        losses = pd.DataFrame(
            {
                name: Predictions(actual, table["predicted"].to_numpy(), None, np.empty(0)).losses(
                    "mae" if regression else "accuracy"
                )
                for name, table in zip(("error", "error_global"), tables, strict=True)
            }
        )
        of_groups = losses.groupby(tables[0]["row"].to_numpy()).mean()
        gains = (of_groups["error_global"] - of_groups["error"]).to_numpy()
        residuals = losses["error"].to_numpy()
        return {
            "groups": len(of_groups),
            "rows": len(losses),
            **{name: float(mean) for name, mean in of_groups.mean().items()},
            "p_value": float(paired_p_values(gains, np.zeros(len(gains), dtype=np.int64), 1, exact=False)[0]),
            "radius": None if interval is None else radius_of(residuals, interval),
        }


def choose_pooled(ledger: pd.DataFrame, judged: pd.DataFrame, plan: Plan, tasks: Rivals) -> PooledAnswers:
    """Choose the groups that the pooled model shall answer.

    Parameters
    ----------
    ledger
        From `compare_and_prune`.
    judged
        Held-out rows of the children, with what each model would answer, and what the pooled model says.
    plan
        What was asked.
    tasks
        What was fitted on the rows of all groups.
    """
    # What `transform` gives of more columns has no place beside what children give.
    transforms = any(has_method(candidate.estimator, "transform") for candidate in plan.spec.candidates)
    # With shrinkage, by default, children lean on their parents as far as their weights say, and on nobody else.
    shrunk = plan.options.shrinkage is not None and plan.options.pooled == "auto"
    pooled = tasks.pooled
    if pooled is None or POOLED_COLUMN not in judged or transforms or shrunk:
        return PooledAnswers(ledger)
    rivals = {rival.key: rival for rival in _rivals_judged(ledger, judged, plan)}
    together = choose_together({key: rival.contest for key, rival in rivals.items()})
    chosen = [rival for key, rival in rivals.items() if together.get(key, rival.contest.best) == POOLED]
    if plan.options.pooled == "auto":
        rows = dict(zip(encoded_keys_of(ledger, plan.keys), ledger["rows"].tolist(), strict=True))
        proven = _clear({key for key in rivals if rows[key] < ENOUGH_ROWS}, list(rivals.values()))
        chosen = [rival for rival in chosen if rival.key in proven]
    reasons = {rival.key: rival.reason for rival in chosen}
    strangers = tasks.of_strangers(plan.spec.task == "regression", plan.options.interval)
    answers_unknown = bool(strangers) and _clearly_less(strangers)
    if not reasons and not answers_unknown:
        return PooledAnswers(ledger)
    row = pooled.ledger[0]
    described = {
        "columns": pooled_columns(plan.keys.names, plan.features.names),
        "estimator": row.estimator,
        "params": row.params,
        "candidate": row.candidate,
        "sha256": row.sha256,
        "bytes": row.bytes,
        "groups": len(reasons),
        "answers_unknown": answers_unknown,
        "unknown": strangers,
    }
    return PooledAnswers(_answered(ledger, plan, reasons), reasons, described, pooled.shard)


@dataclass(frozen=True)
class _Rival:
    """Who would answer a group without the pooled model, and how both did on rows that neither has seen."""

    key: str
    who: str
    contest: Contest
    p_value: float

    @property
    def gain(self) -> float:
        """What the pooled model saves, in the mean."""
        own, pooled = self.contest.losses
        return own - pooled

    @property
    def share(self) -> float:
        """The same in units of the mean of both losses, so that groups can be compared."""
        return self.contest.gain(_OWN, POOLED)[0]

    @property
    def reason(self) -> str:
        own, pooled = self.contest.losses
        rows = count(round(self.contest.rows), "row")
        return f"pooled: mean error {pooled:.6g}, {own:.6g} of {self.who}, on {rows}"


def _clear(small: Set[str], rivals: Sequence[_Rival]) -> set[str]:
    """Say for which groups it is clear that the pooled model may answer: by their own rows, or all of them together.

    Small groups, of which none can tell alone, are a sample of their own beside that of all groups.
    """
    p_values = adjusted(np.array([rival.p_value for rival in rivals]))
    gains = np.array([rival.gain for rival in rivals])
    proven = {rival.key for rival, verdict in zip(rivals, verdicts(p_values, gains), strict=True) if verdict == "yes"}
    for sample in (small, {rival.key for rival in rivals}):
        shares = np.array([rival.share for rival in rivals if rival.key in sample])
        if len(shares) and shares.mean() > 0:
            p = paired_p_values(shares, np.zeros(len(shares), dtype=np.int64), 1, exact=False)[0]
            proven |= sample if p < SIGNIFICANT else set()
    return proven


def _rivals_judged(ledger: pd.DataFrame, judged: pd.DataFrame, plan: Plan) -> Iterator[_Rival]:
    """Judge both models of every group that has rows which neither has seen."""
    regression = plan.spec.task == "regression"
    said, who = _rivals(ledger, judged, plan)
    pooled, actual = judged[POOLED_COLUMN].to_numpy(), judged["actual"].to_numpy()
    weights = judged["weight"].to_numpy() if "weight" in judged else np.ones(len(judged))
    rows = np.flatnonzero(~(pd.isna(said) | pd.isna(pooled)) & (weights > 0))
    if not len(rows):  # of no rows NumPy's split makes one part
        return
    codes = judged["key"].cat.codes.to_numpy()[rows]
    rows, codes = rows[np.argsort(codes, kind="stable")], np.sort(codes, kind="stable")
    present, starts = np.unique(codes, return_index=True)
    names = judged["key"].cat.categories[present]
    one_group = np.zeros(len(rows), dtype=np.int64)
    for key, at in zip(names, np.split(rows, starts[1:]), strict=True):
        answers = {
            name: Predictions(actual[at], predicted[at], None, np.empty(0), weights[at] if "weight" in judged else None)
            for name, predicted in ((_OWN, said), (POOLED, pooled))
        }
        rival_losses, pooled_losses = (each.losses("mae" if regression else "accuracy") for each in answers.values())
        contest = Contest.of(answers, "mae" if regression else "accuracy", _OWN)
        if contest is not None and np.isfinite(contest.losses).all():
            exact = not regression and "weight" not in judged
            p = paired_p_values(rival_losses - pooled_losses, one_group[: len(at)], 1, exact, weights[at])[0]
            best = POOLED if contest.losses[1] < contest.losses[0] else _OWN
            yield _Rival(str(key), who[str(key)], replace(contest, best=best), float(p))


def _rivals(ledger: pd.DataFrame, judged: pd.DataFrame, plan: Plan) -> tuple[AnyArray, dict[str, str]]:
    """Give what would be answered without the pooled model, null where nothing would or shall change, and by whom."""
    fitted, kept = (
        frozenset(keys_of(ledger[ledger["status"] == status], plan.keys)) for status in ("fitted", "carried")
    )
    said = judged["predicted"].to_numpy(copy=True)
    codes, rivals = judged["key"].cat.codes.to_numpy(), {}
    nearest = np.full(len(judged["key"].cat.categories), -1)
    for i, encoded in enumerate(judged["key"].cat.categories):
        key = decode_key(encoded)
        level = len(key) if key in fitted else nearest_parent(key, fitted)
        if key in kept:  # a child of the version before stays as it was
            continue
        if _is_usual(plan.spec, plan.spec.of(key)) and (key in fitted or level in plan.answering_levels):
            nearest[i] = level
            rivals[encoded] = "its own model" if key in fitted else f"parent:{level}" if level else "global"
    for level in np.unique(nearest).tolist():
        of_level = nearest[codes] == level
        if level < 0:
            said[of_level] = None if said.dtype == object else np.nan
        elif level < len(plan.keys.columns):
            said[of_level] = judged[level_column(level)].to_numpy()[of_level]
    return said, rivals


def _clearly_less(strangers: Mapping[str, Any]) -> bool:
    return bool(strangers["error"] < strangers["error_global"] and strangers["p_value"] < SIGNIFICANT)


def _is_usual(usual: FitSpec, spec: FitSpec) -> bool:
    """Whether a group is fitted as most are; of one that the caller makes an exception of, that is the answer."""
    described, others = ([(one.name, one.label, one.params) for one in each.candidates] for each in (usual, spec))
    return described == others and not spec.skip


def _answered(ledger: pd.DataFrame, plan: Plan, reasons: Mapping[str, str]) -> pd.DataFrame:
    """Write into a ledger whom the pooled model answers; what stood there as a reason stands behind."""
    reason_of = pd.Series([reasons.get(key, "") for key in encoded_keys_of(ledger, plan.keys)], dtype=object)
    gone = reason_of != ""
    earlier = ledger["reason"].where(ledger["reason"] == "", "; " + ledger["reason"])
    ledger = ledger.assign(reason=ledger["reason"].where(~gone, reason_of + earlier))
    ledger.loc[gone, ["status", "bytes", "sha256"]] = [POOLED, 0, ""]
    if "weights" in ledger:  # of a model that is not there any more
        ledger.loc[gone, "weights"] = ""
    return ledger
