"""Following an alias: what can be followed, what is swapped and counted, what a failing registry changes."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import metamodel
from metamodel import serving
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.rollout.rollout_plan import Rollout
from metamodel.serving import refresh
from metamodel.serving.app import Limits, Service
from metamodel.serving.prometheus import Figures
from metamodel.serving.refresh import AliasWatch, followed_aliases, version_now
from metamodel.serving.scorer import Scorer


@pytest.fixture
def service(bundle: Path) -> Iterator[Service]:
    service = Service(scorer(bundle, 1), Figures(1, ["child"]).of_worker(0), Limits())
    yield service
    service.close()


def scorer(bundle: Path, number: int) -> Scorer:
    return Scorer(metamodel.load_model(bundle, cache_bytes=2**20), 500, f"sales/{number}")


def watch(
    service: Service,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[object],
    opening: Callable[[str], Scorer] | None = None,
) -> AliasWatch:
    """Let the registry give these answers, one a look: a version's number, or an error."""

    def asked(self: MlflowClient, name: str, alias: str) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(version=answer)

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", asked)
    return AliasWatch(
        service, ["models:/sales@champion"], 60, opening or (lambda version: scorer(bundle, int(version[6:])))
    )


@pytest.mark.parametrize("uri", ["models:/sales/3", "runs:/0123/model", "/some/path", "models:/m-0123"])
def test_only_an_alias_can_be_followed(uri: str) -> None:
    with pytest.raises(metamodel.InputError, match="--refresh follows an alias"):
        followed_aliases([uri])


def test_it_is_enough_that_the_challenger_has_an_alias() -> None:
    assert followed_aliases(["/some/path", "models:/sales@challenger"]) == ["sales@challenger"]
    with pytest.raises(metamodel.InputError, match="models:/sales/8 and /some/path have none"):
        followed_aliases(["models:/sales/8", "/some/path"])


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


class BesideScorer(Scorer):
    """A champion's scorer with a challenger of this version beside it."""

    def __init__(self, bundle: Path, champion: int, challenger: int) -> None:
        one, other = (metamodel.load_model(bundle, cache_bytes=2**20) for _ in range(2))
        facts = {"uri": f"sales/{challenger}", "name": "sales", "version": str(challenger)}
        super().__init__(RolloutModel(one, other, Rollout.of(None, challenger=facts)), 500, f"sales/{champion}")
        one.logged, other.logged = Path(f"/fetched/{champion}"), Path(f"/fetched/{challenger}")


def test_a_challenger_whose_alias_moves_is_followed_told_and_counted_and_so_is_the_champion(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(BesideScorer(bundle, 1, 2), Figures(1, ["child"]).of_worker(0), Limits())
    # Of each look the champion's version, then the challenger's.
    answers = [1, 2, 1, 3, 4, 3]
    points = {"champion": 1, "challenger": 2}

    def asked(self: MlflowClient, name: str, alias: str) -> object:
        points[alias] = answers.pop(0)
        return SimpleNamespace(version=str(points[alias]))

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", asked)
    forgotten: list[str] = []
    monkeypatch.setattr(refresh, "forget_download", lambda model: forgotten.append(str(model.logged)))
    uris = ["models:/sales@champion", "models:/sales@challenger"]
    watching = AliasWatch(
        service, uris, 60, lambda version: BesideScorer(bundle, int(version[6:]), points["challenger"])
    )
    assert [watching.look() for _ in range(2)] == [False, True]
    watching.let_go()
    assert forgotten == ["/fetched/2"]  # the champion's files are needed still
    assert service.scorer.versions == ["sales/1", "sales/3"]
    assert watching.look()
    watching.let_go()
    assert forgotten == ["/fetched/2", "/fetched/1"]
    assert [record.getMessage() for record in caplog.records] == [
        "sales/3 is the challenger now in place of sales/2.",
        "sales/4 answers now in place of sales/1.",
    ]
    text = service.figures.all.text().decode()
    for line in (
        'metamodel_challenger_workers{version="3"} 1.0',
        "metamodel_challenger_swaps_total 1.0",
        'metamodel_serving_workers{version="4"} 1.0',
        "metamodel_version_swaps_total 1.0",
    ):
        assert line in text
    service.close()


def test_a_challenger_that_hangs_in_the_shadow_keeps_its_files_and_the_aliases_are_followed_on(
    service: Service, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = BesideScorer(bundle, 1, 9)
    service.swap(hanging)
    asked, released = threading.Event(), threading.Event()
    assert isinstance(hanging.model, RolloutModel)
    shadow = hanging.model._shadow
    assert shadow is not None

    def hang(*_: object) -> object:
        asked.set()
        released.wait(200)
        raise RuntimeError("planted")

    shadow._ask, shadow._seconds = hang, 0
    row = pd.DataFrame({"country": ["FR"], "store": [1], "price": [0.5], "count": [3]})
    shadow.offer(hanging.model.route.read(row), PredictOptions())
    assert asked.wait(100)
    watching = watch(service, bundle, monkeypatch, ["2", "3"])
    assert watching.look()
    watching.let_go()
    assert watching._draining == [hanging]
    assert watching.look()
    assert service.scorer.version == "sales/3"
    released.set()
    while hanging.is_asking:
        released.wait(0.01)
    watching.let_go()
    assert watching._draining == []


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
    assert looked.wait(100)
    watching.stop()
    watching.join(100)
    assert not watching.is_alive()
    assert service.scorer.version == "sales/2"
