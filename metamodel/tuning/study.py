"""Search one candidate's parameters on one group's training rows with Optuna, and say how it went.

The holdout that will judge the child takes no part: a trial is fitted and scored on folds of the training part. Every
study has a sampler of its own whose seed comes from the group's rows, so that the same seed gives the same parameters
in any process and in any order of the groups.
"""

import hashlib
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from metamodel.estimators import describe
from metamodel.evaluation import PRIMARY, SECONDARY, Answers, is_better
from metamodel.exceptions import InputError
from metamodel.groups import GroupData, Terminated, error_text
from metamodel.judging import answer, fit_candidate
from metamodel.spec import Candidate, FitSpec
from metamodel.splitting import Fold, folds_of
from metamodel.tuning.budget import OutOfTime, Search, alarm
from metamodel.tuning.rounds import fit_counting, rounds_parameter, with_rounds
from metamodel.tuning.spaces import Dimension, Space, parameter_path

__all__ = ["TUNING_COLUMNS", "TuningRecord", "require_optuna", "tune", "validation_folds"]

# Share of the training part that a trial is scored on, and how often: few rows make one split a lottery.
_SHARE = 0.25
_SPLITS = 3
_MANY_ROWS = 5000
# A group whose share of the time is shorter may search for about as long as this many fits without tuning take.
_FEWEST_TRIALS = 5
# After the search come the fit that the holdout judges and the one on all rows, both on more rows than a trial's.
_FITS_TO_COME = 3.0


@dataclass(frozen=True)
class TuningRecord:
    """How one group's search for one candidate's parameters went.

    Attributes
    ----------
    candidate, estimator
        Its name, and its class.
    trials, pruned, failed
        All of them, those ended early because they were worse than most, and those that raised or ran out of time.
    seconds
        Time for the search.
    params
        The best parameters, as the space names them; empty where nothing beats the untuned ones.
    rounds
        Boosting rounds of the final fit where early stopping found them.
    metric, train_score, validation_score, untuned_score
        Of the best parameters on the rows of the folds that were fitted, and on those that were not; and of the
        untuned parameters on the latter.
    gain
        How much better than the untuned parameters, in units of the metric; never negative.
    reason
        Why the group was fitted untuned; empty where it was searched.
    """

    candidate: str
    estimator: str
    trials: int = 0
    pruned: int = 0
    failed: int = 0
    seconds: float = 0.0
    params: dict[str, Any] = field(default_factory=dict)
    rounds: int | None = None
    metric: str = ""
    train_score: float = math.nan
    validation_score: float = math.nan
    untuned_score: float = math.nan
    gain: float = math.nan
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


# Columns of the table of all searches, behind the group columns; `chosen` tells the candidate that became the child.
TUNING_COLUMNS = ("level", "chosen", *(one.name for one in fields(TuningRecord)))


@dataclass(frozen=True)
class _Tried:
    """One set of parameters, scored."""

    params: dict[str, Any]
    score: float
    rounds: int | None
    seconds: float
    children: list[Any]


def require_optuna() -> Any:
    """Import Optuna, which is an extra.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise InputError(f"Tuning needs Optuna ({error}). Run: pip install 'metamodel[tuning]'.") from error
    return optuna


def tune(group: GroupData, spec: FitSpec, search: Search) -> tuple[FitSpec, list[TuningRecord]]:
    """Search the parameters of every candidate that has a space, on a group's training part.

    Parameters
    ----------
    group
        All rows of the group that have a target.
    spec
        What to fit; without `tuning` it is handed back as it is.
    search
        What to try first, and when to end.

    Returns
    -------
    FitSpec
        With the best candidates found.
    list of TuningRecord
        One for each candidate with a space.
    """
    if spec.tuning is None:
        return spec, []
    outer = folds_of(group.hashes, group.times, spec.holdout, spec.split)
    # Rows that any test fold holds are none of the search's business.
    part = group.take(reduce(and_, (train for train, _ in outer))) if outer else group
    started = time.time()
    if spec.group_seconds is not None:
        search = replace(search, latest=min(search.latest, started + spec.group_seconds))
    candidates, records = [], []
    waiting = len(spec.tuning.spaces)
    for candidate in spec.candidates:
        if candidate.name in spec.tuning.spaces:
            candidate, record = _tuned(candidate, part, spec, _turn(search, started, waiting, spec))
            records.append(record)
            waiting -= 1
        candidates.append(candidate)
    return replace(spec, candidates=tuple(candidates)), records


def validation_folds(part: GroupData) -> list[Fold]:
    """Split a training part by the holdout's own rules: a hash of the row, or the latest rows.

    Few rows are split several times: with hashes anew each time, with times at an earlier and earlier time.

    Returns
    -------
    list of Fold
        Empty where the rows cannot be split.
    """
    splits = 1 if len(part.y) >= _MANY_ROWS else _SPLITS
    folds: list[Fold] = []
    earlier = np.ones(len(part.y), dtype=bool)
    for i in range(splits):
        # The holdout took the smallest hashes away, so the rows that are left are hashed anew.
        hashes = pd.util.hash_array(part.hashes ^ np.uint64(i + 1))
        times = None if part.times is None else part.times[earlier]
        found = folds_of(hashes[earlier], times, _SHARE)
        if not found:
            break
        train, test = (np.zeros(len(earlier), dtype=bool) for _ in range(2))
        train[earlier], test[earlier] = found[0]
        folds.append((train, test))
        if part.times is not None:
            earlier = train
    return folds


def _turn(search: Search, started: float, waiting: int, spec: FitSpec) -> Search:
    """Share the group's time out over the candidates that are still to be tuned."""
    assert spec.tuning is not None
    now = time.time()
    own = math.inf if spec.tuning.tune_seconds is None else started + spec.tuning.tune_seconds
    until, latest, limit = (now + (end - now) / waiting for end in (search.until, search.latest, own))
    return replace(search, until=until, latest=latest, limit=limit)


def _tuned(candidate: Candidate, part: GroupData, spec: FitSpec, search: Search) -> tuple[Candidate, TuningRecord]:
    started = time.perf_counter()
    record = TuningRecord(candidate.name, candidate.label, reason=search.refusal)
    if not search.refusal:
        try:
            candidate, record = _Study(candidate, part, spec).run(search)
        except OutOfTime:
            record = replace(record, reason="no time left")
        except Terminated:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a group that cannot be tuned is fitted as it is
            record = replace(record, reason=error_text(error))
    return candidate, replace(record, seconds=time.perf_counter() - started)


class _Study:
    """The trials of one candidate in one group."""

    def __init__(self, candidate: Candidate, part: GroupData, spec: FitSpec) -> None:
        assert spec.tuning is not None
        self._candidate = candidate
        self._spec = spec
        self._tuning = spec.tuning
        self._space: Space = spec.tuning.spaces[candidate.name]
        self._folds = validation_folds(part)
        self._parts = [(part.take(train), part.take(test)) for train, test in self._folds]
        self._seed = _seed(part, candidate.name, spec.tuning.random_state)
        self._metric = spec.metric or PRIMARY[spec.task]
        rounds = rounds_parameter(candidate.estimator)
        last = rounds and parameter_path(candidate.estimator, rounds)
        self._counting = rounds is not None and rounds not in self._space and last not in self._space
        self._best: _Tried | None = None
        self._untuned: _Tried | None = None
        self._error = ""
        self._trials = self._pruned = self._failed = 0

    def run(self, search: Search) -> tuple[Candidate, TuningRecord]:
        record = TuningRecord(self._candidate.name, self._candidate.label)
        if not self._folds:
            return self._candidate, replace(record, reason="the training rows cannot be split")
        if search.latest <= time.time():
            return self._candidate, replace(record, reason="no time left")
        with _quiet():
            self._measure_untuned(search)
            self._try_many(search)
        record = replace(
            record,
            trials=self._trials,
            pruned=self._pruned,
            failed=self._failed,
            metric=self._metric,
            untuned_score=math.nan if self._untuned is None else self._untuned.score,
            reason=self._why_untuned(),
        )
        if self._best is None:
            return self._candidate, record
        return self._chosen(self._best, record)

    def _chosen(self, best: _Tried, record: TuningRecord) -> tuple[Candidate, TuningRecord]:
        seen = [
            answer(child, part, self._spec.task) for child, (part, _) in zip(best.children, self._parts, strict=True)
        ]
        record = replace(
            record,
            train_score=Answers.pooled(seen).metrics(self._spec.task)[self._metric],
            validation_score=best.score,
            gain=math.nan if self._untuned is None else abs(self._untuned.score - best.score),
        )
        if best is self._untuned:
            return self._candidate, record
        estimator = self._with(best.params)
        if best.rounds is not None:
            estimator = with_rounds(estimator, best.rounds)
        label, params = describe(estimator)
        return Candidate(self._candidate.name, estimator, label, params), replace(
            record, params=best.params, rounds=best.rounds
        )

    def _why_untuned(self) -> str:
        if not self._trials:
            return "no time left"
        if self._failed < self._trials:
            return ""
        return f"every trial failed ({self._trials}), the last with {self._error}"

    def _measure_untuned(self, search: Search) -> None:
        try:
            with alarm(search.latest - time.time()):
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
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
            direction="minimize" if is_better(self._metric, 0.0, 1.0) else "maximize",
        )
        if self._candidate.name in search.first:
            study.enqueue_trial(_encoded(search.first[self._candidate.name], self._space))
        started, without_gain = time.time(), 0
        while self._trials < self._tuning.trials:
            left = self._end(search, started) - time.time()
            if left <= 0 or (self._tuning.patience and without_gain >= self._tuning.patience):
                break
            before = self._best
            without_gain = 0 if self._one(study, left) and self._best is not before else without_gain + 1

    def _end(self, search: Search, started: float) -> float:
        """Say when the search ends: with its share of the time, or a few trials later where others can spare it."""
        longest = max((one.seconds for one in (self._untuned, self._best) if one is not None), default=0.0)
        few = started + _FEWEST_TRIALS * longest
        to_come = _FITS_TO_COME * longest / len(self._folds)
        return min(max(search.until, few), search.latest - to_come, search.limit)

    def _one(self, study: Any, left: float) -> bool:
        """Run one trial to whatever end; say whether it was completed."""
        import optuna

        trial = study.ask()
        self._trials += 1
        try:
            with alarm(left):
                tried = self._try(_suggested(trial, self._space), counting=self._counting, trial=trial)
        except optuna.TrialPruned:
            self._pruned += 1
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except Terminated:
            raise
        except (Exception, SystemExit, OutOfTime) as error:  # noqa: BLE001 - the next trial may do better
            self._failed += 1
            self._error = "no time left" if isinstance(error, OutOfTime) else error_text(error)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, tried.score)
            if self._best is None or is_better(self._metric, tried.score, self._best.score):
                self._best = tried
            return True
        return False

    def _try(self, params: dict[str, Any], *, counting: bool, settling: bool = False, trial: Any = None) -> _Tried:
        started = time.perf_counter()
        estimator = self._with(params)
        candidate = replace(self._candidate, estimator=estimator)
        children, answers, rounds = [], [], []
        score = math.nan
        for step, (part, unseen) in enumerate(self._parts):
            if counting:
                child, number = fit_counting(estimator, part, unseen)
                rounds.append(number)
            else:
                child = fit_candidate(candidate, part)
            children.append(child)
            answers.append(answer(child, unseen, self._spec.task))
            score = self._score(answers, settling)
            if trial is not None and step + 1 < len(self._parts):
                trial.report(score, step)
                if trial.should_prune():
                    import optuna

                    raise optuna.TrialPruned
        found = max(1, round(sum(rounds) / len(rounds))) if rounds else None
        return _Tried(params, score, found, time.perf_counter() - started, children)

    def _score(self, answers: Sequence[Answers], settling: bool) -> float:
        metrics = Answers.pooled(answers).metrics(self._spec.task)
        if settling and math.isnan(metrics[self._metric]):
            self._metric = SECONDARY[self._spec.task]  # an estimator without probabilities has no log loss
        score = metrics[self._metric]
        if not math.isfinite(score):
            raise ValueError(f"its {self._metric} is {score}")
        return score

    def _with(self, params: dict[str, Any]) -> Any:
        estimator = clone(self._candidate.estimator)
        return estimator.set_params(**{str(parameter_path(estimator, name)): value for name, value in params.items()})


def _seed(part: GroupData, name: str, random_state: int) -> int:
    digest = hashlib.blake2b(np.sort(part.hashes).tobytes(), digest_size=4)
    digest.update(f"{random_state} {name}".encode())
    return int.from_bytes(digest.digest(), "big")


def _suggested(trial: Any, space: Space) -> dict[str, Any]:
    return {name: _suggest(trial, name, dimension) for name, dimension in space.items()}


def _suggest(trial: Any, name: str, dimension: Dimension) -> Any:
    if dimension.kind == "category":  # by its place, so that a choice may be any value
        return dimension.choices[trial.suggest_categorical(name, list(range(len(dimension.choices))))]
    if dimension.kind == "int":
        return trial.suggest_int(name, dimension.low, dimension.high, step=dimension.step or 1, log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, step=dimension.step, log=dimension.log)


def _encoded(params: Any, space: Space) -> dict[str, Any]:
    return {
        name: space[name].choices.index(value) if space[name].kind == "category" else value
        for name, value in params.items()
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from writing a line for each trial, and trials' warnings from looking like the child's."""
    optuna = require_optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
