"""A real tracking server behind a recording proxy, for the tests that ask for it (`tracked`); a child that is gone."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from servers import Recorder, Server, recording_proxy
from tiny_trainings import no_active_experiment

from metamodel.bundle.references import Reference
from metamodel.tracking.references.check_children import CheckedChild
from metamodel.tracking.references.reference_model import write_references


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


@pytest.fixture
def referring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that refers to a directory that is gone."""
    monkeypatch.setattr(
        "metamodel.tracking.references.reference_model.check_children",
        lambda uris, *_, pin: [CheckedChild(key, Reference(uri, place=uri), "sklearn") for key, uri in uris.items()],
    )
    rows = pd.DataFrame({"store": [1, 2], "x": [1.0, 2.0]})
    children = pd.DataFrame({"store": [1], "uri": [str(tmp_path / "gone")]})
    return write_references(tmp_path / "bundle", children, rows, "store")
