"""The version before: what its columns were, and which of its children a training may go on from."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import listing, short
from metamodel.exceptions import InputError
from metamodel.fitting.warm_start import Seen, why_only_cold
from metamodel.tables.checks import kinds_of
from metamodel.tables.keys import GroupKey
from metamodel.training.earlier_children import Starts
from metamodel.training.plan import Plan

__all__ = ["expected_kinds", "open_previous", "starts_from"]


def open_previous(previous: MetaModel | str | Path | None, warm_start: bool) -> MetaModel | None:
    """Open the version before, given as a model or as its bundle's path.

    Raises
    ------
    InputError
        It is an MLflow URI, which only the edge can open; or there is none to start from.
    """
    if previous is None and warm_start:
        raise InputError("warm_start=True goes on from an earlier version, but there is none. Give previous too.")
    if isinstance(previous, str) and re.match(r"(models|runs):/", previous):
        raise InputError(f"previous={short(previous)} is an MLflow URI. Give metamodel.load_model({short(previous)}).")
    return previous if previous is None or isinstance(previous, MetaModel) else MetaModel(previous)


def expected_kinds(schema: Mapping[str, str] | None, previous: MetaModel | None) -> Mapping[str, str] | None:
    """Kinds of the columns as they were declared, or as the previous version has them."""
    if schema is not None or previous is None:
        return schema
    return kinds_of(previous.manifest.keys, previous.manifest.features)


def starts_from(
    previous: MetaModel | None, plan: Plan, incumbents: Mapping[GroupKey, Seen] | None = None
) -> Starts | None:
    """Say what the groups go on from, and whose new child has to win against the one it had; None for neither.

    Parameters
    ----------
    previous
        The version before.
    plan
        What is trained.
    incumbents
        Groups whose child is an incumbent → what it has seen.

    Raises
    ------
    InputError
        No candidate can go on from an earlier fit, or the earlier children are of other groups.
    """
    if previous is not None and not plan.options.warm_start and incumbents:
        return Starts(previous.bundle, warm=False, incumbents=incumbents)
    if previous is None or not plan.options.warm_start:
        return None
    reasons = {why_only_cold(candidate.estimator) for candidate in plan.spec.every_candidate}
    if all(reasons):
        raise InputError(
            f"warm_start=True, but no candidate can go on from an earlier fit ({listing(sorted(reasons), 3)}). "
            "Choose one that can (docs/training.md lists them), or leave warm_start out."
        )
    earlier, now = (
        [(column.name, column.kind) for column in keys.columns] for keys in (previous.manifest.keys, plan.keys)
    )
    if earlier != now:
        raise InputError(
            f"warm_start=True, but the previous model's groups are others: {_columns(earlier)}, and now "
            f"{_columns(now)}. Train from nothing, or give a model by the same columns."
        )
    return Starts(previous.bundle, _unlike(previous, plan), incumbents=incumbents or None)


def _unlike(previous: MetaModel, plan: Plan) -> str:
    """Say what keeps every child of the previous version from going on; empty where nothing does."""
    before, now = previous.manifest.features, plan.features
    if [(one.name, one.kind) for one in before.features] != [(one.name, one.kind) for one in now.features]:
        return "other features before"
    if before.layout != now.layout:
        return f"the features came as {before.layout}s before"
    target = previous.manifest.target
    if (target.name, target.task) != (plan.options.target, plan.spec.task):
        return f"another target before ({target.name})"
    return ""


def _columns(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in columns)
