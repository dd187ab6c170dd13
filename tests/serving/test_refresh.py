"""Following an alias: what can be followed, what is swapped and counted, what a failing registry changes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import metamodel
from metamodel import serving
from metamodel.serving.app import Limits, Service
from metamodel.serving.prometheus import Figures
from metamodel.serving.refresh import AliasWatch, followed_alias, version_now
from metamodel.serving.scorer import Scorer


@pytest.fixture
def service(bundle: Path) -> Iterator[Service]:
    service = Service(scorer(bundle, 1), Figures(1, ["child"]).of_worker(0), Limits())
    yield service
    service.close()


def scorer(bundle: Path, number: int) -> Scorer:
    return Scorer(metamodel.load_model(bundle, cache_bytes=2**20), 500, f"sales/{number}")


def watch(service: Service, bundle: Path, monkeypatch: pytest.MonkeyPatch, answers: list[object]) -> AliasWatch:
    """Let the registry give these answers, one a look: a version's number, or an error."""

    def asked(self: MlflowClient, name: str, alias: str) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(version=answer)

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", asked)
    return AliasWatch(service, "models:/sales@champion", 60, lambda version: scorer(bundle, int(version[6:])))


@pytest.mark.parametrize("uri", ["models:/sales/3", "runs:/0123/model", "/some/path", "models:/m-0123"])
def test_only_an_alias_can_be_followed(uri: str) -> None:
    with pytest.raises(metamodel.InputError, match="--refresh follows an alias"):
        followed_alias(uri)


def test_serve_says_so_before_it_takes_the_port(bundle: Path) -> None:
    with pytest.raises(metamodel.InputError, match="--refresh follows an alias"):
        serving.serve(str(bundle), port=0, refresh_seconds=5)
    with pytest.raises(metamodel.InputError, match="refresh=0 leaves nothing to serve"):
        serving.serve("models:/sales@champion", port=0, refresh_seconds=0)


def test_the_version_of_a_path_is_none_and_that_of_a_number_needs_no_request() -> None:
    assert (version_now("/some/path"), version_now("models:/sales/8")) == ("", "sales/8")
    assert version_now("models:/nobody@champion") == ""


def test_another_version_is_swapped_in_and_counted(
    service: Service, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = watch(service, bundle, monkeypatch, ["1", "2", "2"])
    assert [watching.look() for _ in range(3)] == [False, True, False]
    assert service.scorer.version == "sales/2"
    text = service.figures.all.text().decode()
    assert 'metamodel_serving_workers{version="2"} 1.0' in text
    assert "metamodel_version_swaps_total 1.0" in text


def test_a_registry_that_fails_changes_nothing_and_is_told_once(
    service: Service, bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = service.scorer
    watching = watch(service, bundle, monkeypatch, [MlflowException("no answer"), MlflowException("no answer"), "1"])
    assert [watching.look() for _ in range(3)] == [False] * 3
    assert service.scorer is before
    assert [record.getMessage() for record in caplog.records] == [
        "sales@champion cannot be followed (MlflowException: no answer). sales/1 answers on."
    ]
    assert "metamodel_refresh_failures_total 2.0" in service.figures.all.text().decode()


def test_what_two_versions_count_adds_up(bundle: Path) -> None:
    figures = Figures(1, ["child"]).of_worker(0)
    stats = {
        "rows": {"child": 5},
        "rows_stacked": 2,
        "cache": dict.fromkeys(("hits", "misses", "evictions", "entries", "bytes", "limit"), 3),
        **{f"seconds_{name}": 1.0 for name in ("reading", "unpickling", "predicting")},
    }
    for model, rows in (("old", 5), ("new", 2), ("old", 7), ("new", 4)):
        figures.publish({**stats, "rows": {"child": rows, "parent:9": 1}}, model)
    text = figures.all.text().decode()
    assert 'metamodel_rows_total{status="child"} 11.0' in text
    assert "metamodel_rows_stacked_total 4.0" in text
    assert "metamodel_cache_hits_total 3.0" in text


def test_it_looks_at_once_and_stops_when_told(service: Service, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = watch(service, bundle, monkeypatch, ["2"])
    looked = threading.Event()
    look = watching.look
    monkeypatch.setattr(watching, "look", lambda: (look(), looked.set()))
    watching.start()
    assert looked.wait(30)
    watching.stop()
    watching.join(30)
    assert not watching.is_alive()
    assert service.scorer.version == "sales/2"
