"""A champion and a challenger behind one `predict`: the roll-out says whose answer each row gets.

Nothing that the challenger does costs an answer: where it raises, hangs, is damaged, or its child of a row fails, the
champion answers that row, and `variant` says so.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from metamodel.bundle.model import MetaModel
from metamodel.bundle.preload import Preload, Preloaded
from metamodel.bundle.rollout.aside import Aside
from metamodel.bundle.rollout.shadow import Shadow
from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.exceptions import InputError
from metamodel.prediction.answer_form import ROLLOUT_VARIANTS, PredictOptions
from metamodel.prediction.answers import Answers
from metamodel.prediction.rollout.rollout_plan import Rollout
from metamodel.prediction.routing import Route
from metamodel.prediction.tally import Tally
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping

__all__ = ["RolloutModel", "refuse_rollout"]

_logger = logging.getLogger(__name__)

_CHAMPION, _CHALLENGER, _FAILED = range(len(ROLLOUT_VARIANTS))

_NOTHING: Mapping[str, Any] = {}

_Read = tuple[Grouping, FeatureColumns]


class RolloutModel(MetaModel):
    """Two models behind one `predict`; all else that a `MetaModel` has is the champion's.

    Parameters
    ----------
    champion, challenger
        The models; None where the challenger cannot be opened, so that the champion answers everything.
    rollout
        Who answers what.
    place
        Directory and digest of a roll-out on disk; None where the two were opened one by one.

    Attributes
    ----------
    is_serving
        Whether somebody waits for answers, so that nobody waits for the challenger longer than the roll-out's patience.
    is_logged
        Whether somebody wants to know what a challenger in the shadow answers; else it is not asked.
    """

    def __init__(
        self, champion: MetaModel, challenger: MetaModel | None, rollout: Rollout, place: tuple[Path, str] | None = None
    ) -> None:
        # What was logged of a champion alone says nothing of the entity.
        logged = None if place is None else champion.logged
        super().__init__(champion.bundle, None, champion._defaults, champion._loader, logged)
        self.champion, self.challenger = champion, challenger
        self.rollout = rollout
        self._place = place
        self.is_serving = self.is_logged = False
        self._aside = Aside()
        self._shadow = None if challenger is None else Shadow(challenger._answer)
        self._given = Tally()
        self._variants: Counter[str] = Counter(dict.fromkeys(ROLLOUT_VARIANTS, 0))
        self._failures = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as both models' paths."""
        return RolloutModel, (self.champion, self.challenger, self.rollout, self._place)

    def __repr__(self) -> str:
        share = f" of {self.rollout.fraction:g}" if self.rollout.mode in ("ab", "canary") else ""
        return f"{super().__repr__()}, with a challenger beside it ({self.rollout.mode}{share})"

    @property
    def path(self) -> Path:
        """Directory of the roll-out; of the champion where there is none."""
        return super().path if self._place is None else self._place[0]

    @property
    def digest(self) -> str:
        """Of the roll-out; of the champion where there is none."""
        return super().digest if self._place is None else self._place[1]

    @property
    def entity_names(self) -> tuple[str, ...]:  # type: ignore[override]  # of any other model there are none
        """Columns that name a row's unit."""
        return self.rollout.entity_names

    @cached_property
    def route(self) -> Route:
        """The schemas that rows are routed by, and what a roll-out adds to the answers."""
        return replace(self.champion.route, variants="in detail", both=self.rollout.mode == "interleave")

    def at_hand(
        self, read: _Read, params: Mapping[str, Any] | None = None, entities: Mapping[str, Any] = _NOTHING
    ) -> bool:
        """Whether all that is needed to answer these rows is in memory, and nobody has to wait for the challenger."""
        if self.rollout.mode != "shadow" and (self.rollout.mode == "interleave" or self._chosen(read, entities).any()):
            return False
        return super().at_hand(read, params)

    def preload(self, preload: Preload) -> Preloaded:
        """Load the children of hot groups now, of both models."""
        if self.challenger is not None:
            self.challenger.preload(preload)
        return super().preload(preload)

    @property
    def is_asking(self) -> bool:
        """Whether the challenger has calls in the shadow that it has not answered yet."""
        return self._shadow is not None and self._shadow.is_asking

    def close(self) -> None:
        """Let the threads end that ask the challenger; it must not be asked any more."""
        self._aside.close()
        if self._shadow is not None:
            self._shadow.close()

    def warm_up(self) -> None:
        """Map the arrays of both models into memory now."""
        super().warm_up()
        if self.challenger is not None:
            self.challenger.warm_up()

    def stats(self) -> dict[str, Any]:
        """Figures of this process; `variants` (rows by who answered) and `challenger` (its failures) beside the usual.

        Of a challenger in the shadow `challenger` has the rows that were answered, failed and dropped.
        """
        with self._lock:
            given = self._given.figures()
            variants, failures = dict(self._variants), self._failures
        challenger = {"calls_failed": failures}
        if self._shadow is not None:
            shadow = self._shadow
            challenger |= {"answered": shadow.answered, "failed": shadow.failed, "dropped": shadow.dropped}
        of_champion = super().stats()
        if self.rollout.mode != "shadow":
            of_champion |= {name: given[name] for name in ("rows", "fallback_rate")}
        return {**of_champion, "variants": variants, "challenger": challenger}

    def _chosen(self, read: _Read, entities: Mapping[str, Any]) -> BoolArray:
        return self.rollout.chosen(self.rollout.units(read[0], entities))

    def _answer(
        self,
        read: _Read,
        options: PredictOptions,
        entities: Mapping[str, Any] = _NOTHING,
        rows: IntArray | None = None,
    ) -> Answers:
        if rows is not None:
            return super()._answer(read, options, entities, rows)
        if self.rollout.mode == "shadow":
            answers = super()._answer(read, options)
            answers.variant = np.zeros(len(answers.prediction), dtype=np.int8)  # the champion
            with self._lock:  # all else is counted where the champion answered
                self._variants[ROLLOUT_VARIANTS[_CHAMPION]] += len(answers.prediction)
            if self.is_logged and self._shadow is not None:
                # A batch has time, and wants to know what the challenger says of each of its rows.
                ask = self._shadow.offer if self.is_serving else self._shadow.ask_now
                answers.shadow = ask(read, options)
            return answers
        chosen = self._chosen(read, entities)
        of_both = self._interleaved if self.rollout.mode == "interleave" else self._divided
        answers = of_both(read, options, chosen)
        self._count(answers)
        return answers

    def _divided(self, read: _Read, options: PredictOptions, chosen: BoolArray) -> Answers:
        """Let each model answer its own rows, and the champion those that the challenger cannot."""
        variant = np.where(chosen, _CHALLENGER, _CHAMPION).astype(np.int8)
        theirs = self._ask_challenger(read, options, chosen) if chosen.any() else None
        _mark_failed(variant, chosen, theirs)
        ours = np.flatnonzero(variant != _CHALLENGER)
        if theirs is not None and not len(ours):
            answers = Answers(len(variant), self.route.form(options))  # the challenger's own do not tell who answered
            answers.take_over(np.arange(len(variant)), theirs)
        else:
            answers = super()._answer(read, options, rows=None if len(ours) == len(variant) else ours)
            if theirs is not None:
                answers.take_over(np.flatnonzero(variant == _CHALLENGER), theirs)
        answers.variant = variant
        return answers

    def _interleaved(self, read: _Read, options: PredictOptions, chosen: BoolArray) -> Answers:
        """Let both models answer every row; the challenger stands first in the chosen ones."""
        variant = np.where(chosen, _CHALLENGER, _CHAMPION).astype(np.int8)
        answers = super()._answer(read, options)
        theirs = self._ask_challenger(read, options, np.ones(len(chosen), dtype=bool))
        _mark_failed(variant, chosen, theirs)
        other = _nobody(answers.prediction)
        if theirs is not None:
            first = variant == _CHALLENGER
            other[first] = answers.prediction[first]
            other[~first] = theirs.prediction[~first]
            answers.take_over(np.flatnonzero(first), theirs)
        answers.variant, answers.other = variant, other
        return answers

    def _ask_challenger(self, read: _Read, options: PredictOptions, chosen: BoolArray) -> Answers | None:
        if self.challenger is None:
            return None
        rows = None if chosen.all() else np.flatnonzero(chosen)
        ask = partial(self.challenger._answer, read, options, _NOTHING, rows)
        try:
            return self._aside.call(ask, self.rollout.patience) if self.is_serving else ask()
        except Exception as error:  # noqa: BLE001 - whatever a challenger does, the champion answers
            with self._lock:
                self._failures += 1
                is_first = self._failures == 1
            if is_first:
                _logger.warning("The challenger failed; the champion answers: %r. Further failures are counted.", error)
            return None

    def _count(self, answers: Answers) -> None:
        assert answers.variant is not None  # set by whoever answered
        variants = np.bincount(answers.variant, minlength=len(ROLLOUT_VARIANTS)).tolist()
        with self._lock:
            self._given.rows.update(answers.tally())
            self._variants.update(dict(zip(ROLLOUT_VARIANTS, variants, strict=True)))


def refuse_rollout(model: MetaModel, done: str) -> None:
    """Raise `InputError` where a model is a roll-out, of which only one of its two models could be `done`."""
    if isinstance(model, RolloutModel):
        raise InputError(
            f"{model.path} is a roll-out of two models, which cannot be {done}. End it, or promote its challenger."
        )


def _mark_failed(variant: AnyArray, chosen: BoolArray, theirs: Answers | None) -> None:
    """Note for which rows the champion answers in the challenger's place."""
    if theirs is None:
        variant[chosen] = _FAILED
    else:
        failed = theirs.failed
        variant[failed[chosen[failed]]] = _FAILED


def _nobody(prediction: AnyArray) -> AnyArray:
    empty: Any = None if prediction.dtype == object else np.nan
    return np.full(len(prediction), empty, dtype=prediction.dtype)
