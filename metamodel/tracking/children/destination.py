"""What logging models and logging runs have in common: the server is asked what it has, and nothing is made twice."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run

from metamodel.common.messages import count
from metamodel.exceptions import LoggingFailed
from metamodel.flavor.remote import Throttle
from metamodel.tracking.children.group_facts import Group, GroupFacts

__all__ = ["Destination", "Logged"]


@dataclass(frozen=True)
class Logged:
    """What the server has of one group.

    Parameters
    ----------
    id
        Of the model or run.
    child_sha256
        Digest of the child, in the trained bundle, that it was logged for.
    complete
        Whether its last request has arrived.
    place, sha256, environment
        Of a model: where its files are, the digest of the serialized child among them, and that of the caller's code
        and packages.
    """

    id: str
    child_sha256: str
    complete: bool
    place: str = ""
    sha256: str = ""
    environment: str = ""


class Destination(ABC):
    """Where groups are logged. All that it does is safe to repeat; `log` is called side by side.

    Parameters
    ----------
    facts
        The groups.
    run
        The one run.
    throttle
        How the server is called.

    Attributes
    ----------
    what
        "models" or "runs".
    logged
        `Group.digest` → what the server has.
    """

    what: str

    def __init__(self, facts: GroupFacts, run: Run, throttle: Throttle) -> None:
        self.logged: dict[str, Logged] = {}
        self.facts = facts
        self.run_id = run.info.run_id
        self._run = run
        self._throttle = throttle
        self._client = MlflowClient()

    def look(self) -> None:
        """Find out what an earlier attempt has left on the server."""
        for group, found in self._listed():
            self.logged.setdefault(group, found)

    def holds(self, group: Group) -> bool:
        """Whether this very child is there, complete."""
        known = self.logged.get(group.digest)
        return known is not None and known.complete and known.child_sha256 == group.child_sha256

    @abstractmethod
    def log(self, group: Group) -> None:
        """Log a group; its last request says that nothing is missing."""

    def tidy(self) -> None:
        """Ask the server for all that it has; delete what is there twice or of other groups, insist on all the rest.

        Raises
        ------
        LoggingFailed
            The server lacks what it took.
        """
        wanted = {group.digest: group.encoded for group in self.facts}
        there = set()
        for group, found in list(self._listed()):
            if group not in wanted or found.id != self.logged[group].id:
                self._delete(group, found)
            elif found.complete:
                there.add(group)
        if missing := [key for group, key in wanted.items() if group not in there]:
            raise LoggingFailed(
                f"Run {self.run_id} lacks the {self.what} of {count(len(missing), 'group')} that were logged, such as "
                f"{missing[0]}, so nothing was registered. Log again into it: only what is missing is sent."
            )

    def _found_or_made(self, group: Group, make: Callable[[], Logged]) -> Logged:
        """Make a model or run; where the answer of the first request was lost, look for what it has made."""
        calls = itertools.count()

        def found_or_made() -> Logged:
            if next(calls):
                for _, found in self._listed(group.digest):
                    return found
            return make()

        return self._throttle.call(group.encoded, found_or_made)

    def _dismissed(self, group: Group, *, same: Callable[[Logged], bool]) -> Logged | None:
        """Return what the server has of a group; what it has of another child is deleted."""
        known = self.logged.get(group.digest)
        if known is None or same(known):
            return known
        self._delete(group.encoded, known)
        return None

    @abstractmethod
    def _listed(self, digest: str = "") -> Iterator[tuple[str, Logged]]:
        """Yield what the server has, of all groups or of one: (digest of the group, what it has), the oldest first."""

    @abstractmethod
    def _delete(self, key: str, found: Logged) -> None:
        """Take something away."""
