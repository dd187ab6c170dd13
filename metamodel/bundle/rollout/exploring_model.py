"""A model whose parents answer a small share of entities, the control group, instead of the groups' children.

Nothing is lost for an answer: where no parent can answer a control row, its child does, and `variant` says so.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from metamodel.bundle.group_values import GroupValues
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import Bundle
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.common.arrays import IntArray
from metamodel.common.byte_cache import Keep
from metamodel.exceptions import InputError, UnknownGroup
from metamodel.prediction.answer_form import CONTROL, CONTROL_FAILED, TREATED, VARIANTS, PredictOptions
from metamodel.prediction.answers import Answers
from metamodel.prediction.rollout.exploration import Exploration
from metamodel.prediction.routing import Route
from metamodel.prediction.tally import Tally
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping
from metamodel.tables.keys import GroupKey

__all__ = ["ExploringModel", "exploring"]

_TREATED, _CONTROL, _FAILED = (VARIANTS.index(name) for name in (TREATED, CONTROL, CONTROL_FAILED))

_NOTHING: Mapping[str, Any] = {}

_Read = tuple[Grouping, FeatureColumns]


def exploring(model: MetaModel, share: float | None = None, entity: Sequence[str] | str | None = None) -> MetaModel:
    """Let a model answer those who act on its answers: with a control group, if it is to have one.

    Parameters
    ----------
    model
        As it was opened.
    share, entity
        See `Exploration`; None for what was recorded in training, a share of 0 for no control group.

    Returns
    -------
    MetaModel
        The model itself where there is no control group. Of a roll-out, which deals its entities already, too.

    Raises
    ------
    InputError
        There is no such share, nothing names an entity, or the model has no parents; or a control group is asked of a
        roll-out.
    """
    if isinstance(model, ExploringModel):
        return model if share is None else exploring(model._model, share, entity)
    recorded = model.manifest.options
    is_rollout = isinstance(model, RolloutModel)
    chosen = (recorded.get("explore") if not is_rollout else 0) if share is None else share
    if not chosen:
        return model
    if is_rollout:
        raise InputError("explore takes one model, and this is a roll-out of two. End it, or leave explore out.")
    named = entity or recorded.get("explore_entity") or ()
    exploration = Exploration.of(chosen, named, model.manifest.target.name)
    if not model.manifest.chain:
        raise InputError(
            f"explore={chosen} lets parents answer, and this model has none. "
            'Train it with unknown="fallback", or leave explore out.'
        )
    return ExploringModel(model, exploration)


class ExploringModel(MetaModel):
    """A model with a control group; all else is the model's.

    Parameters
    ----------
    model
        Who answers all others.
    exploration
        Who is the control group.
    """

    def __init__(self, model: MetaModel, exploration: Exploration) -> None:
        is_recorded = list(exploration.entity_names) == [
            name.partition(":")[0] for name in model.manifest.options.get("explore_entity") or ()
        ]
        # What was logged of a model without a control group says nothing of the entity.
        super().__init__(model.bundle, None, model._defaults, model._loader, model.logged if is_recorded else None)
        self.exploration = exploration
        self._model = model
        self._parents = MetaModel(_ParentsBundle(model.bundle), None, model._defaults, model._loader)
        self._given = Tally()
        self._variants: Counter[str] = Counter()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as the model does."""
        return ExploringModel, (self._model, self.exploration)

    def __repr__(self) -> str:
        return f"{super().__repr__()}, whose parents answer {self.exploration.share:g} of the entities"

    @property
    def entity_names(self) -> tuple[str, ...]:  # type: ignore[override]  # of most models there are none
        """Columns that name a row's entity."""
        return self.exploration.entity_names

    @cached_property
    def route(self) -> Route:
        """The schemas that rows are routed by; every answer says whether it is the control group's."""
        return replace(self._model.route, variants="always")

    def at_hand(
        self, read: _Read, params: Mapping[str, Any] | None = None, entities: Mapping[str, Any] = _NOTHING
    ) -> bool:
        """Whether all that is needed to answer these rows is in memory; of parents it is not said."""
        return not self.exploration.control(entities, len(read[0].codes)).any() and super().at_hand(read, params)

    def stats(self) -> dict[str, Any]:
        """Figures of this process; `variants` (rows by who answered) beside the usual."""
        with self._lock:
            given, variants = self._given.figures(), dict(self._variants)
        return {**super().stats(), **{name: given[name] for name in ("rows", "fallback_rate")}, "variants": variants}

    def _answer(
        self, read: _Read, options: PredictOptions, entities: Mapping[str, Any] = _NOTHING, rows: IntArray | None = None
    ) -> Answers:
        control = self.exploration.control(entities, len(read[0].codes))
        variant = np.where(control, _CONTROL, _TREATED).astype(np.int8)
        if not control.any():
            answers = super()._answer(read, options)
        else:
            answers = Answers(len(variant), self.route.form(options))
            of_parents = replace(options, unknown="fallback")
            parents = self._parents._answer(read, of_parents, rows=np.flatnonzero(control))
            variant[control & ~parents.answered] = _FAILED
            answers.take_over(np.flatnonzero(variant == _CONTROL), parents)
            if len(others := np.flatnonzero(variant != _CONTROL)):
                answers.take_over(others, super()._answer(read, options, rows=others))
        answers.variant = variant
        numbers = np.bincount(variant, minlength=len(VARIANTS)).tolist()
        with self._lock:
            self._given.rows.update(answers.tally())
            self._variants.update(dict(zip(VARIANTS, numbers, strict=True)))
        return answers


class _ParentsBundle(Bundle):
    """A bundle in which no group has a child of its own, so that its parents answer."""

    def __init__(self, base: Bundle) -> None:
        super().__init__(base.path, base._own_cache, base._loader)
        self._base = base
        self._depth = len(self.manifest.keys.columns)

    stacks = ()  # type: ignore[assignment]  # of children

    @property
    def group_values(self) -> GroupValues | None:
        """The numbers of groups, read once for both."""
        return self._base.group_values

    def load(self, key: GroupKey, *, keep: Keep = True) -> Any:
        """Load a parent; see `Bundle.load`."""
        if len(key) == self._depth:
            raise UnknownGroup(f"The control group is answered by parents, not by the child of group {key}.")
        return super().load(key, keep=keep)
