"""Search one candidate's parameters on some training rows with Optuna, and say how it went.

A trial is fitted and scored on folds of these rows. Every study has a sampler of its own whose seed comes from the
rows, so that the same seed gives the same parameters in any process and in any order of the groups.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sklearn.base import clone

from metamodel.common.messages import error_text
from metamodel.evaluation.metrics import PRIMARY, SECONDARY, is_better
from metamodel.evaluation.predictions import Predictions
from metamodel.fitting.estimator_info import label_and_params
from metamodel.fitting.group import GroupData, Terminated
from metamodel.fitting.model_selection import fit_candidate, predictions_of
from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.fitting.tuning.budget import OutOfTime, Search, alarm
from metamodel.fitting.tuning.early_stopping import (
    fit_counting,
    mean_rounds,
    others_rounds,
    rounds_parameter,
    with_rounds,
)
from metamodel.fitting.tuning.folds import halves, validation_folds
from metamodel.fitting.tuning.gain import gain, gain_errors, more_than_noise
from metamodel.fitting.tuning.optuna_sampler import encoded, optuna_silenced, require_optuna, study_seed, suggested
from metamodel.fitting.tuning.record import TuningRecord
from metamodel.fitting.tuning.spaces import Space, parameter_path

__all__ = ["Study"]

# A group whose share of the time is shorter may search for about as long as this many fits without tuning take.
_FEWEST_TRIALS = 5

# After the search come the fit that the holdout judges and the one on all rows, both on more rows than a trial's.
_FITS_TO_COME = 3.0


@dataclass(frozen=True)
class _Tried:
    """One set of parameters, scored."""

    params: dict[str, Any]
    score: float
    counts: list[int]  # each fold's best number of boosting rounds
    seconds: float
    children: list[Any]
    answers: Predictions

    @property
    def rounds(self) -> int | None:
        return mean_rounds(self.counts) if self.counts else None


class Study:
    """The trials of one candidate on a group's training part.

    Parameters
    ----------
    candidate
        Has a space in `spec.tuning`.
    part
        Rows that no child will be judged on.
    spec
        What to fit, and how to compare.
    """

    def __init__(self, candidate: Candidate, part: GroupData, spec: FitSpec) -> None:
        assert spec.tuning is not None
        self._candidate = candidate
        self._spec = spec
        self._tuning = spec.tuning
        self._space: Space = spec.tuning.spaces[candidate.name]
        self._folds = validation_folds(part)
        self._parts = [(part.take(train), part.take(test)) for train, test in self._folds]
        self._seed = study_seed(part, candidate.name, spec.tuning.random_state)
        self._metric = spec.metric or PRIMARY[spec.task]
        rounds = rounds_parameter(candidate.estimator)
        last = rounds and parameter_path(candidate.estimator, rounds)
        self._counting = rounds is not None and rounds not in self._space and last not in self._space
        self._judging = self._parts
        if self._counting and len(self._parts) == 1:
            # A half's rounds come from the other one.
            self._judging = [(part, half) for part, unseen in self._parts for half in halves(unseen)]
        self._best: _Tried | None = None
        self._untuned: _Tried | None = None
        self._parents: _Tried | None = None
        self._gain_errors = math.nan
        self._error = ""
        self._trials = self._pruned = self._failed = 0

    def run(self, search: Search) -> tuple[Candidate, TuningRecord]:
        """Try parameters until there are no more trials, no more gains or no more time.

        Returns
        -------
        Candidate
            With the best parameters, and rounds, that were found.
        TuningRecord
            How it went.
        """
        if not self._folds:
            return self._candidate, replace(self.record(), reason="the training rows cannot be split")
        if _end_in_any_case(search) <= time.monotonic():
            return self._candidate, replace(self.record(), reason="no time left")
        with optuna_silenced():
            self._measure_untuned(search)
            self._try_many(search)
            reason = self._settle_in_time(search)
        record = replace(self.record(), reason=reason or self._why_untuned())
        return (self._candidate, record) if self._best is None else self._chosen(self._best, record)

    def record(self) -> TuningRecord:
        """Say how it went so far, whatever ended it."""
        record = TuningRecord(self._candidate.name, self._candidate.label, self._trials, self._pruned, self._failed)
        if self._best is None:
            return record
        return replace(
            record,
            params=self._best.params,
            rounds=self._best.rounds,
            metric=self._metric,
            validation_score=self._best.score,
            untuned_score=math.nan if self._untuned is None else self._untuned.score,
            gain=math.nan if self._untuned is None else gain(self._metric, self._untuned.score, self._best.score),
            gain_errors=self._gain_errors,
        )

    def _settle_in_time(self, search: Search) -> str:
        """Settle; say why the untuned parameters stay where nothing could be compared with them."""
        if self._untuned is None or self._best is None:
            return ""
        if self._best is self._untuned or not self._judging:
            self._best, self._gain_errors = self._untuned, 0.0
            return ""
        try:
            # Without rounds to count nothing is fitted.
            with alarm(_end_in_any_case(search) - time.monotonic() if self._counting else math.inf):
                self._settle(self._untuned, self._best)
        except Terminated:
            raise
        except (Exception, SystemExit, OutOfTime) as error:  # noqa: BLE001 - what cannot be proved is not taken
            self._best, self._error = self._untuned, _wording(error)
            return f"the rounds that it found were not proved: {self._error}"
        return ""

    def _settle(self, untuned: _Tried, best: _Tried) -> None:
        """Take the untuned parameters, the parent's or the best, each only if it gains more than noise."""
        contenders = [best] if self._parents is None or self._parents is best else [self._parents, best]
        fair = [self._fairly(one) for one in contenders] if self._counting else contenders
        if self._counting and len(self._parts) == 1:  # the same rows in the same order
            answers = [predictions_of(untuned.children[0], half, self._spec.task) for _, half in self._judging]
            untuned = self._untuned = replace(untuned, answers=Predictions.pooled(answers))
        self._gain_errors = gain_errors(self._metric, untuned.answers, fair[-1].answers)
        settled = untuned
        for one in fair:
            if more_than_noise(self._metric, settled.answers, one.answers):
                settled = one
        self._best = settled

    def _fairly(self, tried: _Tried) -> _Tried:
        """Score parameters again, with numbers of rounds in which the rows that judge them had no say."""
        estimator = self._with(tried.params)
        counts = tried.counts
        if len(self._parts) == 1:
            counts = [fit_counting(estimator, part, half)[1] for part, half in self._judging]
        answers = []
        for rounds, (part, unseen) in zip(others_rounds(counts), self._judging, strict=True):
            candidate = replace(self._candidate, estimator=with_rounds(clone(estimator), rounds))
            answers.append(predictions_of(fit_candidate(candidate, part), unseen, self._spec.task))
        return replace(tried, score=self._score(answers, settling=False), answers=Predictions.pooled(answers))

    def _chosen(self, best: _Tried, record: TuningRecord) -> tuple[Candidate, TuningRecord]:
        seen = [
            predictions_of(child, part, self._spec.task)
            for child, (part, _) in zip(best.children, self._parts, strict=True)
        ]
        record = replace(record, train_score=Predictions.pooled(seen).metrics(self._spec.task)[self._metric])
        if best is self._untuned:
            return self._candidate, record
        estimator = self._with(best.params)
        if best.rounds is not None:
            estimator = with_rounds(estimator, best.rounds)
        label, params = label_and_params(estimator)
        return Candidate(self._candidate.name, estimator, label, params), record

    def _why_untuned(self) -> str:
        if not self._trials:
            return "no time left"
        if self._failed < self._trials:
            return ""
        return f"every trial failed ({self._trials}), the last with {self._error}"

    def _measure_untuned(self, search: Search) -> None:
        try:
            with alarm(_end_in_any_case(search) - time.monotonic()):
                tried = self._try({}, counting=False, settling=True)
        except Terminated:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the parameters that are found may do
            self._error = error_text(error)
        else:
            self._best = self._untuned = tried

    def _try_many(self, search: Search) -> None:
        optuna = require_optuna()
        # The first trials are drawn at random.
        random_trials = max(3, min(10, self._tuning.trials // 3))
        sampler = optuna.samplers.TPESampler(seed=self._seed, n_startup_trials=random_trials)
        study = optuna.create_study(
            sampler=sampler,
            # One fold has too few rows to end a trial by.
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
            direction="minimize" if is_better(self._metric, 0.0, 1.0) else "maximize",
        )
        if self._candidate.name in search.first:
            study.enqueue_trial(encoded(search.first[self._candidate.name], self._space))
        started, without_gain = time.monotonic(), 0
        while self._trials < self._tuning.trials:
            seconds_left = self._end(search, started) - time.monotonic()
            if seconds_left <= 0 or (self._tuning.patience and without_gain >= self._tuning.patience):
                break
            best_before = self._best
            gained = self._run_trial(study, seconds_left, search) and self._best is not best_before
            without_gain = 0 if gained else without_gain + 1

    def _end(self, search: Search, started: float) -> float:
        """Say when the search ends: with its share of the time, or a few trials later where others can spare it."""
        longest = max((one.seconds for one in (self._untuned, self._best) if one is not None), default=0.0)
        few = started + _FEWEST_TRIALS * longest
        to_come = _FITS_TO_COME * longest / len(self._folds)
        # A single fold's halves are counted and fitted, several folds only fitted once more.
        trials = 4 if len(self._parts) == 1 else 1
        settling = longest * trials * (1 + (self._candidate.name in search.first)) if self._counting else 0.0
        return min(max(search.until, few), search.latest - to_come - settling, search.limit - settling)

    def _run_trial(self, study: Any, left: float, search: Search) -> bool:
        """Run one trial to whatever end; say whether it was completed."""
        import optuna

        trial = study.ask()
        self._trials += 1
        try:
            with alarm(left):
                tried = self._try(suggested(trial, self._space), counting=self._counting, trial=trial)
        except optuna.TrialPruned:
            self._pruned += 1
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except Terminated:
            raise
        except (Exception, SystemExit, OutOfTime) as error:  # noqa: BLE001 - the next trial may do better
            self._failed += 1
            self._error = _wording(error)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, tried.score)
            if trial.number == 0 and self._candidate.name in search.first:
                self._parents = tried
            if self._best is None or is_better(self._metric, tried.score, self._best.score):
                self._best = tried
            return True
        return False

    def _try(self, params: dict[str, Any], *, counting: bool, settling: bool = False, trial: Any = None) -> _Tried:
        started = time.perf_counter()
        estimator = self._with(params)
        candidate = replace(self._candidate, estimator=estimator)
        children, answers, counts = [], [], []
        score = math.nan
        for step, (training_rows, unseen) in enumerate(self._parts):
            if counting:
                child, number = fit_counting(estimator, training_rows, unseen)
                counts.append(number)
            else:
                child = fit_candidate(candidate, training_rows)
            children.append(child)
            answers.append(predictions_of(child, unseen, self._spec.task))
            score = self._score(answers, settling)
            if trial is not None and step + 1 < len(self._parts):
                trial.report(score, step)
                if trial.should_prune():
                    import optuna

                    raise optuna.TrialPruned
        return _Tried(params, score, counts, time.perf_counter() - started, children, Predictions.pooled(answers))

    def _score(self, answers: Sequence[Predictions], settling: bool) -> float:
        metrics = Predictions.pooled(answers).metrics(self._spec.task)
        if settling and math.isnan(metrics[self._metric]):
            self._metric = SECONDARY[self._spec.task]  # an estimator without probabilities has no log loss
        score = metrics[self._metric]
        if not math.isfinite(score):
            raise ValueError(f"its {self._metric} is {score}")
        return score

    def _with(self, params: dict[str, Any]) -> Any:
        estimator = clone(self._candidate.estimator)
        return estimator.set_params(**{str(parameter_path(estimator, name)): value for name, value in params.items()})


def _end_in_any_case(search: Search) -> float:
    return min(search.latest, search.limit)


def _wording(error: BaseException) -> str:
    return "no time left" if isinstance(error, OutOfTime) else error_text(error)
