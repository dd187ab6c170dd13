"""A real tracking server, behind a proxy that records, for the tests that ask for it (the fixture `tracked`)."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient
from servers import Recorder, Server, recording_proxy
from tiny_trainings import no_active_experiment


@pytest.fixture(scope="module")
def recorder(tracking: Server) -> Iterator[Recorder]:
    """Everything in this module logs to the server, through the proxy that counts."""
    with recording_proxy(tracking.url) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        with no_active_experiment():
            yield proxy


@pytest.fixture
def client(recorder: Recorder) -> MlflowClient:
    return MlflowClient()


@pytest.fixture
def tracked(recorder: Recorder) -> Iterator[None]:
    """Each test logs to the server; it begins without an active experiment, and ends without an active run."""
    with no_active_experiment():
        yield
    left = mlflow.active_run()
    mlflow.end_run()
    assert left is None
