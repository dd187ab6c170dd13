"""What there is to see in a model: an overview of all groups, or one group with its ledger row."""

from typing import Any

from metamodel.bundle.display import name_of
from metamodel.bundle.ledger_queries import deciding_metric, interval_summary, keys_of, rows_of_groups, worst_first
from metamodel.bundle.manifest import FORMAT_VERSION, Manifest
from metamodel.bundle.model import MetaModel
from metamodel.bundle.monitored.stored_reference import DRIFT_NAME
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.common.messages import count, did_you_mean
from metamodel.exceptions import UnknownGroup
from metamodel.report.formatting import size
from metamodel.tables.keys import GroupKey

__all__ = ["damage", "one_group", "overview"]

_SHOWN = ["level", "status", "reason", "error", "rows"]


def overview(model: MetaModel, worst: int) -> dict[str, Any]:
    """Summarise a model.

    Parameters
    ----------
    model
        The model.
    worst
        How many of the worst groups to show.

    Returns
    -------
    dict
        `model`: facts; `groups`: counts by status; `data_checks`: what they found before the training, where they
        found anything; `worst_groups` and `groups_without_child`: DataFrames.
    """
    manifest, ledger = model.manifest, model.ledger
    children = rows_of_groups(ledger, len(manifest.keys.columns))
    metric = deciding_metric(children, manifest.target.task)
    shown = [*manifest.keys.names, *_SHOWN, metric]
    facts = {
        "format version": FORMAT_VERSION,
        "created": manifest.created,
        "group columns": ", ".join(f"{column.name} ({column.kind})" for column in manifest.keys.columns),
        "features": ", ".join(manifest.features.names),
        "target": f"{manifest.target.name} ({manifest.target.task})",
        "estimators": ", ".join(sorted(set(children["estimator"]) - {""})),
        "unknown groups": manifest.unknown,
        **_blending(manifest.options.get("shrinkage")),
        "codec": manifest.codec,
        **_intervals(model),
        **_pooled(manifest.pooled),
        "reference for monitoring": _reference(manifest),
        "worst groups by": metric,
        "children": f"{manifest.counts['fitted']:,} fitted, {int(ledger['bytes'].sum()):,} bytes",
        "digest": model.digest,
        **_rollout(model),
    }
    return {
        "model": facts,
        "groups": {str(status): int(number) for status, number in children["status"].value_counts().items()},
        **({"data_checks": _findings(manifest)} if manifest.findings else {}),
        "worst_groups": worst_first(children, metric).head(worst)[shown],
        "groups_without_child": children[children["status"].isin(["pooled", "skipped", "failed"])][shown[:-1]].head(
            worst
        ),
    }


def _findings(manifest: Manifest) -> dict[str, str]:
    checks = [(one["check"], ", ".join(one["columns"]), one["message"]) for one in manifest.findings or ()]
    return {f"{check} of {columns}" if columns else check: message for check, columns, message in checks}


def _blending(shrinkage: dict[str, Any] | None) -> dict[str, str]:
    """Say how predictions are blended with the parents'; nothing where they are not."""
    if not shrinkage:
        return {}
    arguments = ", ".join(f"{name}={value}" for name, value in shrinkage["params"].items())
    return {"shrinkage": f"{shrinkage['method']} {arguments}".rstrip()}


def _pooled(described: dict[str, Any] | None) -> dict[str, str]:
    """Say whom the pooled model answers; nothing where there is none."""
    if described is None:
        return {}
    strangers = "; groups that nobody knows, in place of the global model" if described["answers_unknown"] else ""
    return {"pooled model": f"{described['estimator']}, answers {count(described['groups'], 'group')}{strangers}"}


def _rollout(model: MetaModel) -> dict[str, Any]:
    """Say of a roll-out what is beside the champion, whom all other facts are about."""
    if not isinstance(model, RolloutModel):
        return {}
    plan = model.rollout
    share = f", {plan.fraction:g} of the units" if plan.mode in ("ab", "canary") else ""
    challenger = (plan.challenger or {}).get("uri", "another model")
    return {"roll-out": f"{plan.mode}{share}: {challenger} beside this model"}


def _reference(manifest: Manifest) -> str:
    """Say whether there is something to compare later rows with, and how large it is."""
    entry = manifest.files.get(DRIFT_NAME)
    return "none" if entry is None else size(entry.size)


def _intervals(model: MetaModel) -> dict[str, str]:
    if not model.route.intervals:
        return {}
    found = interval_summary(model.ledger, len(model.manifest.keys.columns))
    reached = f", {found['interval_coverage']:.1%} reached" if "interval_coverage" in found else ""
    whose = "{groups_with_own_interval:,} groups by their own rows, {groups_borrowing_interval:,} by borrowed ones"
    return {"intervals": f"for {model.manifest.options['interval']:.1%} of the rows{reached}; {whose.format(**found)}"}


def damage(model: MetaModel) -> dict[str, Any]:
    """Read every byte of a model's bundle.

    Returns
    -------
    dict
        `damaged_files`: their names. `damaged_groups`: encoded key → "child", "stack" or both, only where there are
        any. A group with one of the two intact is still answered.
    """
    files, groups = model.bundle.damaged_files(), model.bundle.damaged_groups()
    found: dict[str, Any] = {"damaged_files": files}
    if groups:
        found["damaged_groups"] = {key: ", ".join(where) for key, where in groups.items()}
    return found


def one_group(model: MetaModel, key: tuple[Any, ...]) -> dict[str, Any]:
    """Show one group: its ledger row, and its estimator where it has one.

    Parameters
    ----------
    model
        The model.
    key
        The group's key; a parent's is shorter.

    Returns
    -------
    dict
        `ledger`: the row, which says why a group was skipped or failed; `child`: the estimator's text, or None.

    Raises
    ------
    InvalidKey
        It is none.
    UnknownGroup
        The training table had no such group.
    CorruptBundle
        The child's bytes are damaged.
    """
    try:
        child = repr(model.child(key))
    except UnknownGroup as error:
        row = _row_of(model, key)
        if row is None:
            raise UnknownGroup(f"{error}{_neighbour(model, key)}") from error
        return {"ledger": row, "child": None}
    return {"ledger": _row_of(model, key), "child": child}


def _neighbour(model: MetaModel, key: GroupKey) -> str:
    """Say which group may have been meant."""
    known = (name_of(one) for one in keys_of(model.ledger, model.manifest.keys) if len(one) == len(key))
    return did_you_mean(name_of(key), known)


def _row_of(model: MetaModel, key: GroupKey) -> dict[str, Any] | None:
    ledger = model.ledger
    places = [i for i, one in enumerate(keys_of(ledger, model.manifest.keys)) if one == key]
    return {str(name): value for name, value in ledger.iloc[places[0]].items()} if places else None
