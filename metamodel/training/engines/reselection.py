"""What the candidates of all groups did, and the plan of fitting those groups again that the others' rows decide.

A group's child is the one that its own rows favour until all groups are judged; few of them change then, and only
these are fitted once more, so that there is no second pass over all rows.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from metamodel.bundle.ledger import LedgerRow
from metamodel.evaluation.pooled_selection import Contest, choose_together
from metamodel.fitting.spec import FitSpec
from metamodel.tables.keys import GroupKey, decode_key
from metamodel.training.engines.job import PlanT

__all__ = ["Choices"]


class Choices:
    """Gathers contests; groups of one level that have the same candidates, compared alike, decide together.

    Parameters
    ----------
    spec
        What was to be fit.
    voters
        Contests, by encoded key, of groups that are not fitted: they have a say, and nothing is chosen for them.
    """

    def __init__(self, spec: FitSpec, voters: Mapping[str, Contest] | None = None) -> None:
        self._spec = spec
        self._usual = _described(spec)
        self._contests: dict[tuple[int, str], dict[str, Contest]] = {}
        self._voters = {} if voters is None else voters
        for key, contest in self._voters.items():
            self._contests.setdefault((len(decode_key(key)), contest.metric), {})[key] = contest

    def learn(self, rows: Iterable[LedgerRow]) -> None:
        """Take over the contests of some ledger rows."""
        for row in rows:
            if row.contest is not None and _described(self._spec.of(decode_key(row.key))) == self._usual:
                self._contests.setdefault((row.level, row.contest.metric), {})[row.key] = row.contest

    def plan_again(self, plan: PlanT) -> PlanT | None:
        """Plan those groups that get another candidate than their own best, each with that one alone.

        Returns
        -------
        Plan or None
            `spec.overrides` has these groups and no others; None where there are none.
        """
        names: dict[str, str] = {}
        overrides: dict[GroupKey, FitSpec] = {}
        for (_, metric), contests in sorted(self._contests.items()):
            if contests.keys() <= self._voters.keys():
                continue
            together = choose_together(contests)
            chosen = {key: name for key, name in together.items() if key not in self._voters}
            names |= chosen
            for encoded, name in chosen.items():
                key = decode_key(encoded)
                spec = self._spec.of(key)
                candidates = tuple(candidate for candidate in spec.candidates if candidate.name == name)
                overrides[key] = replace(spec, candidates=candidates, metric=metric, overrides={})
        if not names:
            return None
        # Choices of other groups must not be taken for these where a training is resumed.
        digest = hashlib.sha256(json.dumps([plan.digest, names], sort_keys=True).encode()).hexdigest()
        return replace(plan, spec=replace(self._spec, overrides=overrides), digest=digest)


def _described(spec: FitSpec) -> list[tuple[str, str, str]]:
    return [(candidate.name, candidate.label, candidate.params) for candidate in spec.candidates]
