"""Which addresses a connection is opened to."""

from collections.abc import Callable
from typing import Any

import pytest
from small_endpoints import Endpoint, feature_rows

import metamodel
from metamodel.exceptions import ChildUnavailable
from metamodel.flavor.remote.connections import open_session
from metamodel.flavor.remote.endpoint import EndpointChild


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


@pytest.mark.parametrize("allow_private", [True, False])
def test_a_socks_proxy_keeps_its_own_connections(allow_private: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Manager:  # the real one needs PySocks
        pool_classes_by_scheme = "of SOCKS"

        def __init__(self, *_: Any, **options: Any) -> None: ...

    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", Manager)
    adapter: Any = open_session(1, allow_private=allow_private).get_adapter("https://models.example/invocations")
    assert adapter.proxy_manager_for("socks5h://proxy.example:1080").pool_classes_by_scheme == "of SOCKS"
    assert adapter.proxy_manager_for("http://proxy.example:3128").pool_classes_by_scheme != "of SOCKS"
