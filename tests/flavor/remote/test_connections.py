"""Which addresses a connection is opened to."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_endpoints import Endpoint, feature_rows

import metamodel
from metamodel.bundle.references import Reference
from metamodel.exceptions import ChildUnavailable
from metamodel.flavor.remote import disk_cache
from metamodel.flavor.remote.connections import open_session
from metamodel.flavor.remote.endpoint import EndpointChild
from metamodel.flavor.remote.loader import ElsewhereLoader


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "[fe80::1]"])
def test_private_addresses_are_refused_unless_allowed(host: str) -> None:
    with pytest.raises(ChildUnavailable, match=r"private, loopback or link-local|cannot be resolved"):
        EndpointChild(f"http://{host}/invocations", metamodel.ReferenceSettings())


def test_an_address_is_looked_at_again_when_it_is_reached(
    start: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = start()
    # As if the name had led elsewhere when it was checked.
    monkeypatch.setattr(metamodel.ReferenceSettings, "objection", lambda settings, uri: "")
    with pytest.raises(ChildUnavailable, match=r"127\.0\.0\.1 is a private, loopback or link-local address"):
        EndpointChild(endpoint.url, metamodel.ReferenceSettings()).predict(feature_rows(1))
    assert endpoint.requests == 0


class _Names:
    """A resolver that gives a name an open address first, and later one of this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        resolved = socket.getaddrinfo

        def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host != "moving.example":
                return resolved(host, port, *args, **kwargs)
            self.asked.append(host)
            address = "127.0.0.1" if len(self.asked) > 1 else "93.184.216.34"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_name_that_leads_elsewhere_by_the_time_of_the_request_gets_none(
    start: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, names = start(), _Names(monkeypatch)
    child = EndpointChild(endpoint.url.replace("127.0.0.1", "moving.example"), metamodel.ReferenceSettings())
    with pytest.raises(ChildUnavailable, match=r"^127\.0\.0\.1 is a private, loopback or link-local address"):
        child.predict(feature_rows(1))
    assert (len(names.asked), endpoint.requests) == (2, 0)


@pytest.mark.parametrize("allow_private", [False, True])
def test_neither_does_a_store_on_the_web(
    allow_private: bool, start: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "children"))
    monkeypatch.setattr(disk_cache, "_cache", None)
    monkeypatch.delenv("_MLFLOW_SERVER_ARTIFACT_ROOT")  # this is no server
    endpoint, names = start(), _Names(monkeypatch)
    place = endpoint.url.replace("127.0.0.1", "moving.example").removesuffix("/invocations")
    settings = metamodel.ReferenceSettings(allow_private=allow_private, patience_seconds=2)
    loader = ElsewhereLoader(str(tmp_path))
    vars(loader)["settings"] = settings
    match = "cannot be loaded" if allow_private else r"127\.0\.0\.1 is a private, loopback or link-local address"
    with pytest.raises(ChildUnavailable, match=match) as raised:
        loader.load(Reference(place, place=place), '["FR"]', place)
    assert "\n" not in str(raised.value)
    assert (len(names.asked) > 1, endpoint.gets > 0) == (True, allow_private)


@pytest.mark.parametrize("allow_private", [True, False])
def test_a_socks_proxy_keeps_its_own_connections(allow_private: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Manager:  # the real one needs PySocks
        pool_classes_by_scheme = "of SOCKS"

        def __init__(self, *_: Any, **options: Any) -> None: ...

    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", Manager)
    adapter: Any = open_session(1, allow_private=allow_private).get_adapter("https://models.example/invocations")
    assert adapter.proxy_manager_for("socks5h://proxy.example:1080").pool_classes_by_scheme == "of SOCKS"
    assert adapter.proxy_manager_for("http://proxy.example:3128").pool_classes_by_scheme != "of SOCKS"
