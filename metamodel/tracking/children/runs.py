"""A nested run for each group, with its tags, parameters and metrics: three requests a group.

The first one makes the run with all its tags, by which it is found again; the last one ends it, and says by that that
nothing is missing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.entities import Metric, Param, Run
from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER

from metamodel.flavor.remote import Throttle
from metamodel.tracking.children.destination import Destination, Logged
from metamodel.tracking.children.group_facts import CHILD_TAG, GROUP_TAG, Group, GroupFacts

__all__ = ["RunDestination", "quiet"]

# MLflow sends whole runs.
_PAGE = 500

_ENDED = ("FINISHED", "FAILED")

_INHERITED = (MLFLOW_USER, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow from printing the address of every run that ends, for which it would send a request more."""
    name = MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.name
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class RunDestination(Destination):
    """Logs groups as nested runs, those without a child too.

    Parameters
    ----------
    facts, run, throttle
        As for `Destination`.
    """

    what = "runs"

    def __init__(self, facts: GroupFacts, run: Run, throttle: Throttle) -> None:
        super().__init__(facts, run, throttle)
        self._inherited = {name: run.data.tags[name] for name in _INHERITED if name in run.data.tags}

    def log(self, group: Group) -> None:
        """Make the run, unless it is there, log its parameters and metrics, and end it: it took as long as the fits."""
        known = self._dismissed(group, same=lambda found: found.child_sha256 == group.child_sha256)
        if known is None:
            known = self._found_or_made(group, lambda: self._made(group))
        self.logged[group.digest] = known
        moment, run_id = self._run.info.start_time, known.id
        metrics = [Metric(name, value, moment, 0) for name, value in self.facts.metrics(group).items()]
        params = [Param(name, value) for name, value in self.facts.params(group).items()]
        self._throttle.call(group.encoded, lambda: self._client.log_batch(run_id, metrics, params))
        status = "FAILED" if group.row["status"] == "failed" else "FINISHED"
        ended = moment + round(1000 * float(group.row["seconds"]))
        self._throttle.call(group.encoded, lambda: self._client.set_terminated(run_id, status, ended))

    def _made(self, group: Group) -> Logged:
        tags = {**self._inherited, **self.facts.tags(group), MLFLOW_PARENT_RUN_ID: self.run_id}
        made = self._client.create_run(self._run.info.experiment_id, self._run.info.start_time, tags, group.label)
        return _what_is_there(made)

    def _listed(self, digest: str = "") -> Iterator[tuple[str, Logged]]:
        nested = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'"
        query = f"{nested} AND tags.`{GROUP_TAG}` = '{digest}'" if digest else nested
        token: str | None = None
        while True:
            page = self._throttle.call(
                "",
                lambda token=token: self._client.search_runs(  # type: ignore[misc]
                    [self._run.info.experiment_id], query, max_results=_PAGE, page_token=token
                ),
            )
            for run in page:
                if GROUP_TAG in run.data.tags:
                    yield run.data.tags[GROUP_TAG], _what_is_there(run)
            token = page.token
            if not token:
                return

    def _delete(self, key: str, found: Logged) -> None:
        self._throttle.call(key, lambda: self._client.delete_run(found.id))


def _what_is_there(run: Run) -> Logged:
    return Logged(run.info.run_id, run.data.tags.get(CHILD_TAG, ""), run.info.status in _ENDED)
