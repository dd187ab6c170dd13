"""Which token goes to which server, and that none is shown."""

from collections.abc import Callable
from pathlib import Path

import pytest
from servers import HOST
from small_endpoints import LOCAL, Endpoint, feature_rows

from metamodel.exceptions import InputError
from metamodel.flavor.remote.endpoint import EndpointChild
from metamodel.flavor.remote.endpoint_tokens import token_for


def test_a_token_of_the_environment_goes_to_its_server_and_to_no_other(
    start: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    named, other = start(), start()
    server = named.url.removesuffix("/invocations")
    monkeypatch.setenv("NETRC", "/dev/null")
    monkeypatch.setenv("METAMODEL_ENDPOINT_TOKENS", f"https://else.example=no {server}=s3")
    for endpoint in (named, other):
        EndpointChild(endpoint.url, LOCAL).predict(feature_rows(1))
    assert (named.authorizations, other.authorizations) == (["Bearer s3"], [None])


def test_a_server_without_a_token_gets_what_the_netrc_file_says(
    start: Callable[..., Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = start()
    (tmp_path / "netrc").write_text(f"machine {HOST} login ann password pa55\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    EndpointChild(endpoint.url, LOCAL).predict(feature_rows(1))
    assert endpoint.authorizations == ["Basic YW5uOnBhNTU="]


@pytest.mark.parametrize("text", ["s3cret", "models.example=s3cret", "https://models.example=", "https://=s3cret"])
def test_tokens_that_cannot_be_read_are_not_repeated(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAMODEL_ENDPOINT_TOKENS", text)
    with pytest.raises(InputError, match="METAMODEL_ENDPOINT_TOKENS cannot be read") as caught:
        token_for("https://models.example/invocations")
    assert "s3cret" not in str(caught.value)
