"""What gains and what scatter of them occur together in many groups, and what a group's few rows then say of its own.

Where two models answer much alike their losses differ by little on every row, and where one of them has lost touch they
scatter: so the scatter of a group's gains tells, beside their mean, which kind of group it is. The prior of both, a
true gain and the variance of a row's share in it, is estimated from all groups together without a form (the maximum
likelihood of Kiefer and Wolfowitz 1956, "Consistency of the maximum likelihood estimator in the presence of infinitely
many incidental parameters", Ann. Math. Statist. 27; of means and variances jointly: Gu and Koenker 2017, "Unobserved
heterogeneity in income dynamics", JBES 35). It takes many groups; plain numbers in, plain numbers out.
"""

import numpy as np

from metamodel.common.arrays import AnyArray

__all__ = ["joint_means"]

# Places of the prior: averages of neighbouring gains, and variances from the least to the largest in equal steps.
_GAINS, _VARIANCES = 32, 12

# Groups by which the prior is estimated, and steps of that (expectation-maximization).
_SAMPLED, _STEPS = 2048, 50

# Groups that are weighed at a time.
_CHUNK = 4096

# The least variance, in units of the mean one: answers that are equal on a few rows are not equal for ever.
_LEAST = 1e-4


def joint_means(gains: AnyArray, variances: AnyArray, rows: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Posterior means of every group's true gain, and of the variance of a row's share in it.

    Parameters
    ----------
    gains
        Mean over each group's rows, shape (n_groups,), finite.
    variances
        Of a row's share, by the sum of squares over `rows`; of a group with one row it plays no part.
    rows
        On how many rows; at least one group has two.

    Examples
    --------
    Half of the groups scatter and gain; one of these has rows that happen to speak against it.

    >>> quiet, loud = np.zeros(40), np.r_[np.linspace(0.5, 1.5, 39), -0.1]
    >>> means, _ = joint_means(np.r_[quiet, loud], np.repeat([0.01, 1.0], 40), np.full(80, 4))
    >>> bool(means[-1] > 0.3), bool(abs(means[0]) < 0.01)
    (True, True)
    """
    free = np.maximum(rows - 1.0, 0)
    spread = np.divide(variances * rows, free, out=np.zeros(len(gains)), where=free > 0)
    mean = spread @ free / free.sum()
    spread = np.maximum(spread, _LEAST * mean)
    told = spread[free > 0]
    gain_places, variance_places = _averages(gains), np.geomspace(told.min(), told.max(), _VARIANCES)
    places = np.repeat(gain_places, _VARIANCES), np.tile(variance_places, len(gain_places))
    facts = np.stack([gains, spread, rows, free])
    sampled = np.unique(np.linspace(0, len(gains) - 1, min(_SAMPLED, len(gains))).round().astype(np.int64))
    prior = _prior(_likelihoods(facts[:, sampled], places))
    parts = []
    for start in range(0, len(gains), _CHUNK):
        weights = _likelihoods(facts[:, start : start + _CHUNK], places) * prior
        parts.append(weights @ np.stack(places, axis=1) / weights.sum(axis=1, keepdims=True))
    posterior: AnyArray = np.concatenate(parts)
    return posterior[:, 0], posterior[:, 1]


def _averages(gains: AnyArray) -> AnyArray:
    parts = np.array_split(np.sort(gains), min(_GAINS, len(gains)))
    return np.unique([part.mean() for part in parts])


def _likelihoods(facts: AnyArray, places: tuple[AnyArray, AnyArray]) -> AnyArray:
    """Likelihood of each group's mean and sum of squares at each place, shape (n_groups, n_places), at most 1."""
    gains, spread, rows, free = facts[:, :, np.newaxis]
    true, variance = places
    logs = -0.5 * (rows * (gains - true) ** 2 / variance + free * spread / variance + (1 + free) * np.log(variance))
    likelihoods: AnyArray = np.exp(logs - logs.max(axis=1, keepdims=True))
    return likelihoods


def _prior(likelihoods: AnyArray) -> AnyArray:
    weights = np.full(likelihoods.shape[1], 1 / likelihoods.shape[1])
    for _ in range(_STEPS):
        shares = likelihoods * weights
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights
