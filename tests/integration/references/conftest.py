"""A tracking server with a registered model for each store, behind a proxy that can be unkind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reference_stores import FAST, GROUPS, TEMPLATE, Registered
from registered_children import export_all, panel, register_all, unkind_proxy, upload_all
from servers import Server

import metamodel
from metamodel.flavor.remote import disk_cache
from metamodel.flavor.remote import throttle as throttling


@pytest.fixture(scope="session")
def stores(tracking: Server, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A registered child for each store, once a server: the table, the bundled model, and the children's sources."""
    frame = panel(GROUPS)
    result = metamodel.train(frame, "store", "y", "ridge", n_jobs=1, holdout=0)
    bundled = metamodel.MetaModel(result.bundle_path)
    exported = export_all(bundled, range(GROUPS), tmp_path_factory.mktemp("exported"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.url)
        sources = upload_all(exported, tracking.directory / "artifacts")
        register_all([f"store-{key}" for key in range(GROUPS)], sources, project="stores")
    return frame, bundled, sources


@pytest.fixture(scope="module")
def registered(tracking: Server, stores: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    with unkind_proxy(tracking.url) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        patch.setenv("METAMODEL_DISK_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(disk_cache, "_cache", None)
        yield Registered(tracking, proxy, *stores)


@pytest.fixture(autouse=True)
def kind_again(registered: Registered) -> None:
    """Each test begins with a kind proxy, an empty log, and nothing learnt of the server."""
    _be_kind(registered)


def _be_kind(registered: Registered) -> None:
    proxy = registered.proxy
    proxy.limit, proxy.broken_until, proxy.unavailable, proxy.cut = float("inf"), 0.0, "", 0
    proxy.fails = 0
    proxy.take()
    throttling._limiters.clear()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk cache of the test's own, and no child in memory."""
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk_cache, "_cache", None)
    monkeypatch.setattr("metamodel.common.byte_cache._process_cache", None)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def referring(registered: Registered) -> str:
    """URI of the meta-model that refers to all children."""
    _be_kind(registered)  # a module's fixture is made before `kind_again`, after a test that may have broken the server
    info = metamodel.reference(
        TEMPLATE,
        registered.rows,
        "store",
        "y",
        keys=registered.rows,
        settings=FAST,
        registered_model_name="referring",
        alias="champion",
    )
    return str(info.model_uri)
