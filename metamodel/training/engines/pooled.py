"""The pooled model of a training: whether there is one, what it is fitted on, and how children stand against it."""

import hashlib
from dataclasses import replace

import pandas as pd

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count
from metamodel.evaluation.holdout import POOLED_COLUMN
from metamodel.evaluation.split_scheme import HOLDOUT
from metamodel.exceptions import InputError
from metamodel.fitting.knowing_groups import pooled_candidate
from metamodel.prediction.pooled_model import pooled_columns, pooled_texts
from metamodel.tables.feature_table import FeatureTable
from metamodel.training.engines.task import TaskResult
from metamodel.training.plan import Plan, TablePlan

__all__ = ["pooled_plan", "refuse_pooled", "strangers_plan", "wants_pooled", "why_no_pooled", "with_pooled"]

# "auto" trains a pooled model up to so many rows times groups: 100,000 rows of 1,000 groups, say.
_CHEAP = 100_000_000

# Where the rows lie elsewhere, so many are brought here at most: with 50 numbers each they take 400 MB of the driver's
# memory, and the model is fitted on one machine after all.
_MOST_COLLECTED = 1_000_000

# Of fewer groups, those held back are too few to tell how a model answers strangers.
_MANY_GROUPS = 20


def wants_pooled(plan: Plan) -> bool:
    """Whether there shall be a pooled model."""
    return _is_asked_for(plan) and not why_no_pooled(plan)


def why_no_pooled(plan: Plan) -> str:
    """Say why there is no pooled model, and what to do; empty where there is one, or nobody asks for any."""
    options, rows = plan.options, count(plan.rows, "row")
    if not _is_asked_for(plan):
        return ""
    if options.max_group_rows is not None and plan.rows > options.max_group_rows:
        return f"max_group_rows={options.max_group_rows:,} leaves out a model of all {rows}. Raise it for one."
    if not isinstance(plan, TablePlan) and plan.rows > _MOST_COLLECTED:
        remedy = 'engine="local" trains one of more with pooled=True.'
        return f"the table has {rows}, and Spark's driver collects {_MOST_COLLECTED:,} at most. {remedy}"
    if options.pooled == "auto" and plan.rows * len(plan.sizes) > _CHEAP:
        groups = count(len(plan.sizes), "group")
        limit = f"{_CHEAP:,} rows times groups, from where on it is dear"
        return f"{rows} of {groups} are more than {limit}. pooled=True trains one, pooled=False does not ask."
    return ""


def refuse_pooled(plan: Plan) -> None:
    """Refuse a pooled model that was asked for by name, of a table that is too large to be collected.

    Raises
    ------
    InputError
        With the bound.
    """
    if plan.options.pooled is True and not isinstance(plan, TablePlan) and plan.rows > _MOST_COLLECTED:
        raise InputError(f"pooled=True fits one model of all groups on one machine, but {why_no_pooled(plan)}")


def _is_asked_for(plan: Plan) -> bool:
    return plan.options.pooled is True or plan.options.pools_if_cheap


def pooled_plan(plan: TablePlan) -> TablePlan:
    """Plan the one model of all groups that knows the group columns.

    It is a global model on the same rows with the same split, so that it is judged on the rows that children and
    parents have held back, and sees none of them before.
    """
    groups = _group_columns(plan)
    features = plan.table.features.values
    frame = features if isinstance(features, pd.DataFrame) else pd.DataFrame(features, columns=plan.features.names)
    frame = frame.assign(**groups)
    levels = {name: len(pd.unique(values)) for name, values in groups.items()}
    candidates = tuple(
        pooled_candidate(candidate, plan.features, levels, plan.spec.task) for candidate in plan.spec.candidates
    )
    return replace(
        plan,
        spec=replace(plan.spec, candidates=candidates, overrides={}, skip=False, tuning=None),
        table=replace(plan.table, features=FeatureTable(frame, {})),
        digest=hashlib.sha256(f"{plan.digest} pooled".encode()).hexdigest(),
    )


def strangers_plan(plan: TablePlan, candidate: str) -> TablePlan | None:
    """Plan how a model of all groups is judged on groups that it has not seen: a fifth of them are held back whole.

    Parameters
    ----------
    plan
        Of the global model, or of the pooled one.
    candidate
        Name of the one that was chosen.

    Returns
    -------
    TablePlan or None
        None where nobody asks: parents do not answer for unknown groups, or the table has few groups. A searched
        candidate is none of the plan's, and not judged either; nor are rows that belong together across groups.
    """
    options = plan.options
    simple = options.tune is None and options.split_groups is None
    can_tell = 0 in plan.answering_levels and simple and len(plan.sizes) >= _MANY_GROUPS
    candidates = tuple(each for each in plan.spec.candidates if each.name == candidate)
    if not can_tell or not candidates or plan.table.children is None:
        return None
    # Rows are held back by their hash, which all rows of a group share here.
    hashes = pd.util.hash_array(plan.table.children)
    spec = replace(plan.spec, candidates=candidates, overrides={}, split=HOLDOUT, holdout=0.2, judge_only=True)
    return replace(
        plan,
        spec=replace(spec, drop_duplicates=False, spread_copies=False),
        table=replace(plan.table, hashes=hashes, times=None, children=None),
        digest=hashlib.sha256(f"{plan.digest} strangers {candidate}".encode()).hexdigest(),
    )


def with_pooled(holdout: pd.DataFrame, pooled: TaskResult | None) -> pd.DataFrame:
    """Set what the pooled model said beside what children said of the same held-out rows.

    Parameters
    ----------
    holdout
        From `diagnostics.gather_holdouts`, of the children.
    pooled
        The task that fitted the pooled model, or None.

    Returns
    -------
    DataFrame
        With `predicted_by_pooled`, null where it did not hold the row back; the same table where there is no such
        model, or nothing to judge it on.
    """
    held = None if pooled is None else pooled.evidence.holdout
    if held is None:
        return holdout
    said = held.select(["row", "predicted"]).to_pandas().drop_duplicates("row")
    beside = holdout[["row"]].merge(said, on="row", how="left")["predicted"]
    return holdout.assign(**{POOLED_COLUMN: beside.to_numpy()})


def _group_columns(plan: TablePlan) -> dict[str, AnyArray]:
    """Give every row the texts that tell its group."""
    grouping = plan.grouping
    names = pooled_columns(plan.keys.names, plan.features.names)
    texts = pooled_texts(grouping.keys)  # type: ignore[arg-type]  # training leaves no invalid key
    return {name: text[grouping.codes] for name, text in zip(names, texts, strict=True)}
