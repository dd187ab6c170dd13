"""What a caller's arguments say of an update, and what of them the next one will need again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metamodel.bundle.carry.contests import read_contests
from metamodel.bundle.model import MetaModel
from metamodel.common.collecting import seldom_collecting
from metamodel.common.messages import short
from metamodel.common.option import declared
from metamodel.exceptions import InputError
from metamodel.training.carrying.decisions import Contests
from metamodel.training.carrying.rules import Rules
from metamodel.training.carrying.update_plan import Update, plan_update
from metamodel.training.options import Inputs, Retraining
from metamodel.training.overrides import Override, canonical_keys
from metamodel.training.plan import Plan

if TYPE_CHECKING:
    from metamodel.training.engines.base import Engine

__all__ = ["recipe_of", "update_of"]

# What every training is told anew.
_OF_ONE_TRAINING = {"data", "output_dir", "previous"}


def update_of(inputs: Inputs, previous: MetaModel | None, training: "Engine[Any]") -> Update | None:
    """Decide what an update does with each group, and tell the engine; None where every group is fitted.

    Raises
    ------
    InputError
        A rule is none, or has nothing to go by.
    """
    if inputs.retrain in (None, "", (), []):
        _refuse_alone(inputs)
        return None
    if previous is None:
        raise InputError(
            f"retrain={short(inputs.retrain)} carries the other groups over, but from where? Give previous."
        )
    rules = Rules.checked(inputs.retrain, inputs.max_age, inputs.min_new_rows)
    with seldom_collecting():  # a few small objects for every group
        update = plan_update(previous, training, rules, inputs.retrain_list, inputs.keep_missing)
    contests = Contests(inputs.evidence, inputs.min_gain)
    update = replace(update, contests=contests) if inputs.challenge else replace(update, incumbents={})
    training.plan = replace(training.plan, only=update.keys)
    if previous.manifest.spec_digest == training.plan.digest:
        voters = read_contests(previous.bundle)
        training.voters = {key: contest for key, contest in voters.items() if key in update.carried}
    return update


def recipe_of(asked: Mapping[str, Any], plan: Plan, overrides: Sequence[Override]) -> dict[str, Any]:
    """Keep the arguments of a training that the next one takes over.

    Parameters
    ----------
    asked
        Every argument by its name.
    plan
        What was made of them.
    overrides
        What was read of the table of overrides.
    """
    left = _OF_ONE_TRAINING | {one.name for one in declared(Retraining)}
    recipe = {name: _plain(value) for name, value in asked.items() if name not in left and value is not None}
    recipe |= {"group_by": list(plan.keys.names), "features": list(plan.features.names)}
    if overrides:
        recipe["overrides"] = [
            _record(override, key, plan.keys.names)
            for override, key in zip(overrides, canonical_keys(overrides, plan.keys), strict=True)
        ]
    return recipe


def _record(override: Override, key: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """Write an override as a row of a table, with the group's canonical key."""
    said = {
        "estimator": override.estimator,
        "estimator_params": override.estimator_params,
        "min_rows": override.min_rows,
        "skip": override.skip or None,
    }
    return {**dict(zip(names, key, strict=True)), **{name: value for name, value in said.items() if value is not None}}


def _plain(value: Any) -> Any:
    """Make lists and numbers of Python's own, which a file can hold."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") and not hasattr(value, "columns") else value


def _refuse_alone(inputs: Inputs) -> None:
    for name in ("max_age", "min_new_rows", "retrain_list"):
        value = getattr(inputs, name)
        if value not in (None, ""):
            raise InputError(
                f"{name}={short(value)} chooses groups to retrain, but retrain asks for none. Give retrain."
            )
