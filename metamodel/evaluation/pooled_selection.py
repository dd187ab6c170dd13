"""Choose among candidates with the help of other groups: what a few held-out rows say of one group is mostly noise.

A candidate's gain over another one differs from group to group, and so does what the held-out rows of a group make of
it. The first spread is told from the second by DerSimonian and Laird's estimate (1986, "Meta-analysis in clinical
trials", Controlled Clinical Trials 7). The gains of all groups, drawn together until only the first is left (as Louis
1984, "Estimating a population of parameter values using Bayes and empirical Bayes methods", JASA 79), then say
beforehand which gains there are, and each group's own rows which of them is its own: the posterior mean of empirical
Bayes.

So where groups differ by no more than noise all take one candidate, where they differ clearly each takes its own, and
a group of few rows is decided by its siblings sooner than a group of many. One group among very many that is unlike
all others would still be drawn to them, whatever its rows say; so its gain is moved by a few standard errors at most
(Efron and Morris 1972, "Limiting the risk of Bayes and empirical Bayes estimators, part II", JASA 67). Plain numbers
in, names out; nothing here knows estimators.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.joint_shrinkage import joint_means
from metamodel.evaluation.metrics import effective_rows
from metamodel.evaluation.predictions import Predictions

__all__ = ["Contest", "choose_together", "expected_gains"]

# Of more groups, this many averages of neighbouring gains stand for all of them.
_SUPPORT = 256

# From so many groups on, the scatter of gains is told apart by kinds of groups; of fewer it has one size.
_MANY = 64

# Groups whose gains are weighed at a time.
_CHUNK = 4096

# By so many standard errors, and no more, may the other groups change what a group's own rows say of a gain.
_REACH = 3

# Differences between gains up to this size are made by floating-point numbers.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Contest:
    """How one group's candidates did on its held-out rows.

    Parameters
    ----------
    metric
        What they are compared by; the mean over rows of `Predictions.losses` decides it.
    names
        The candidates that could be judged, in the caller's order.
    losses
        Mean loss of each.
    noise
        For each candidate and each one behind it (`[i][j - i - 1]`) the variance of one row's share in the gain of one
        over the other.
    rows
        Held-out rows; with weights so many equal ones as tell as much.
    best
        The candidate that this group's rows favour.
    notes
        What the ledger's `reason` says of candidates that could not be judged.
    """

    metric: str
    names: tuple[str, ...]
    losses: tuple[float, ...]
    noise: tuple[tuple[float, ...], ...]
    rows: float
    best: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, judged: Mapping[str, Predictions], metric: str, best: str, notes: Sequence[str] = ()) -> Self | None:
        """Sum answers to the same rows up; None where there is no choice, or the metric is no mean over rows."""
        if len(judged) < 2 or metric == "f1_macro":
            return None
        answers = list(judged.values())
        losses = np.stack([predictions.losses(metric) for predictions in answers])
        weights = np.ones(losses.shape[1]) if answers[0].weights is None else answers[0].weights
        rows = effective_rows(weights)
        if not rows:
            return None
        shares = weights / weights.sum()
        with np.errstate(invalid="ignore", over="ignore"):  # what a candidate predicts may be infinite
            means = losses @ shares
            noise = tuple(
                tuple(_noise(losses[i], losses[j], means[i], means[j], shares) for j in range(i + 1, len(means)))
                for i in range(len(means))
            )
        return cls(metric, tuple(judged), tuple(means.tolist()), noise, rows, best, tuple(notes))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        noise = tuple(tuple(row) for row in data["noise"])
        lists = {name: tuple(data[name]) for name in ("names", "losses", "notes")}
        return cls(**{**data, **lists, "noise": noise})

    def has(self, name: str) -> bool:
        """Whether a candidate could be judged, by a finite number."""
        return name in self.names and bool(np.isfinite(self.losses[self.names.index(name)]))

    def gain(self, name: str, base: str) -> tuple[float, float]:
        """Tell how much worse a candidate is than another one, and the variance of one row's share in that.

        Returns
        -------
        gap : float
            Difference of their losses in units of the mean of both: -2 to 2 whatever they are, and close to the
            logarithm of their ratio where they are alike.
        noise : float
        """
        i, j = self.names.index(name), self.names.index(base)
        first, second = min(i, j), max(i, j)
        total = self.losses[i] + self.losses[j]
        gap = 2 * (self.losses[i] - self.losses[j]) / total if total else 0.0
        return gap, self.noise[first][second - first - 1]


def _noise(one: AnyArray, other: AnyArray, mean: float, others: float, shares: AnyArray) -> float:
    """Variance of a row's share in `Contest.gain`, by the delta method."""
    total = mean + others
    if not total or not np.isfinite(total):
        return 0.0
    # Shares of the sum first: products of losses that are huge or tiny are no numbers any more.
    return float(shares @ (4 * (others / total * (one / total) - mean / total * (other / total))) ** 2)


def choose_together(contests: Mapping[str, Contest]) -> dict[str, str]:
    """Choose for every group the candidate with the least expected loss, by its own rows and by the other groups'.

    Parameters
    ----------
    contests
        Encoded key → contest, of groups that have the same candidates and metric.

    Returns
    -------
    dict
        Encoded key → candidate, in the order of the keys, for the groups in which another one than the group's own best
        is chosen. The order of `contests` plays no part, that of the candidates only between equals.

    Examples
    --------
    Forty rows of each of ten groups say that "line" is much better; four of another one, that it is a little worse.

    >>> def of(losses, rows, best):
    ...     return Contest("mae", ("line", "tree"), losses, ((0.5,), ()), rows, best)
    >>> groups = {f"[{i}]": of((1.0, 1.5 + i / 50), 40, "line") for i in range(10)}
    >>> choose_together({**groups, "[10]": of((1.0, 0.95), 4, "tree")})
    {'[10]': 'line'}
    """
    keys = sorted(contests)
    base = _base([contests[key] for key in keys])
    keys = [key for key in keys if contests[key].has(base)]
    if len(keys) < 2:
        return {}
    names = dict.fromkeys(name for key in keys for name in contests[key].names)
    expected = {name: np.full(len(keys), np.nan) for name in names}
    for name in names:
        if name == base:
            expected[name][:] = 0
            continue
        present = [i for i, key in enumerate(keys) if contests[key].has(name)]
        if present:
            judged = [contests[keys[i]] for i in present]
            gaps, noise = np.array([contest.gain(name, base) for contest in judged]).T
            expected[name][present] = _expected(gaps, noise, np.array([contest.rows for contest in judged]))
    chosen = {}
    for i, key in enumerate(keys):
        contest = contests[key]
        gap = {name: expected[name][i] for name in contest.names if contest.has(name)}
        best = min(gap, key=lambda name: gap[name])
        if contest.best not in gap or gap[contest.best] - gap[best] > _ROUNDING:
            chosen[key] = best
    return chosen


def expected_gains(gains: AnyArray, errors: AnyArray, rows: AnyArray) -> AnyArray:
    """Posterior mean of every group's gain of one model over another one, by its own rows and by the other groups'.

    Parameters
    ----------
    gains, errors
        Of each group, as `Contest.gain` gives them, and their standard errors; shape (n_groups,).
    rows
        On how many rows. Where each group has one alone, noise cannot be told from real differences, and all groups
        have the mean gain.

    Of many groups the scatter of a group's own rows has a say too (`joint_means`).

    Examples
    --------
    >>> expected_gains(np.array([-1.0, 2.0]), np.zeros(2), np.ones(2)).tolist()
    [0.5, 0.5]
    """
    if len(gains) > 1 and (rows <= 1).all():
        return np.full(len(gains), gains.mean())
    if len(gains) < _MANY or not (errors[rows > 1] > 0).any():
        return _expected(gains, errors**2 * rows, rows)
    means, variances = joint_means(gains, errors**2 * rows, rows)
    reach = _REACH * np.sqrt(variances / rows)
    return np.clip(means, gains - reach, gains + reach)


def _base(contests: Sequence[Contest]) -> str:
    """Name the candidate that the others are compared with: judged in most groups, and the best one over all."""
    shares: dict[str, list[float]] = {}
    for one in contests:
        known = [name for name in one.names if one.has(name)]
        mean = np.mean([one.losses[one.names.index(name)] for name in known]) if known else 0.0
        for name in known:
            shares.setdefault(name, []).append(float(one.losses[one.names.index(name)] / mean) if mean else 1.0)
    return min(shares, key=lambda name: (-len(shares[name]), sum(shares[name])), default="")


def _expected(gaps: AnyArray, noise: AnyArray, rows: AnyArray) -> AnyArray:
    """Posterior mean of every group's gap; all arrays have shape (n_groups,)."""
    # Of few rows a group's own noise is noise itself; in units of the loss it is much the same in every group.
    degrees = np.maximum(rows - 1, 0)
    # Sums of squares have rows - 1 degrees of freedom.
    pooled = (noise * rows)[degrees > 0].sum() / degrees.sum() if degrees.any() else 0.0
    if len(gaps) < 2 or not pooled:
        return gaps
    variances = pooled / rows
    mean, between = _random_effects(gaps, variances)
    support = np.sort(mean + np.sqrt(between / (between + variances)) * (gaps - mean))
    parts = np.array_split(support, min(_SUPPORT, len(support)))
    places, sizes = np.array([chunk.mean() for chunk in parts]), np.array([len(chunk) for chunk in parts])
    means = []
    for start in range(0, len(gaps), _CHUNK):
        groups = slice(start, start + _CHUNK)
        distance = (gaps[groups, None] - places) ** 2 / variances[groups, None]
        weights = sizes * np.exp(-(distance - distance.min(axis=1, keepdims=True)) / 2)
        means.append(weights @ places / weights.sum(axis=1))
    reach = _REACH * np.sqrt(variances)
    return np.clip(np.concatenate(means), gaps - reach, gaps + reach)


def _random_effects(gaps: AnyArray, variances: AnyArray) -> tuple[float, float]:
    """Mean of the groups' true gaps, and their variance, after DerSimonian and Laird."""
    weights = 1 / variances
    mean = weights @ gaps / weights.sum()
    scatter = weights @ (gaps - mean) ** 2 - (len(gaps) - 1)
    between = max(0.0, float(scatter / (weights.sum() - (weights**2).sum() / weights.sum())))
    weights = 1 / (variances + between)
    return float(weights @ gaps / weights.sum()), between
