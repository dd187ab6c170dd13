"""Addresses in URIs: each has one meaning, and what leads into a private network is known."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.common.uris import is_local, is_open, local_path, malformed, private_address, redacted

pytestmark = pytest.mark.tableless

_SECRETS = st.text(string.ascii_letters + string.digits + "._~!$*+,=:;/%-", min_size=6, max_size=20).map("S3CRET".join)


@pytest.mark.parametrize(
    ("uri", "path"), [("/a/b", "/a/b"), ("file:///a%20b", "/a b"), ("c d", "c d")], ids=["plain", "file", "relative"]
)
def test_a_local_uri_is_a_path(uri: str, path: str) -> None:
    assert is_local(uri)
    assert local_path(uri) == Path(path)


@pytest.mark.parametrize("uri", ["s3://bucket/a", "models:/m/1", "https://store.example/a"])
def test_other_uris_are_not_local(uri: str) -> None:
    assert not is_local(uri)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("https://a.example/x\n", "control character"),
        ("file:///a?b", "holds ? or #"),
        ("runs:/1/a%2Fb", "holds %2F"),
        ("http:///path", "no host"),
        (r"http://127.0.0.1\@8.8.8.8/", "can be read in more than one way"),
        ("http://a.example:port/", "cannot be read"),
    ],
)
def test_an_address_with_two_meanings_is_refused(uri: str, problem: str) -> None:
    assert problem in malformed(uri)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1/x", "http://[::1]/x", "https://10.1.2.3/a", "http://0.0.0.0/"])
def test_a_private_address_is_named(uri: str) -> None:
    assert private_address(uri).endswith("is a private, loopback or link-local address")


@pytest.mark.parametrize("uri", ["s3://bucket/a", "/a/b", "models:/m/1", "abfss://c@account.dfs.core.windows.net/a"])
def test_what_has_no_host_of_its_own_is_not_looked_up(uri: str) -> None:
    assert private_address(uri) == ""


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "169.254.169.254",
        "fe80::1%eth0",
        "::1",
        "224.0.0.1",
        "64:ff9b::7f00:1",
        "fec0::1",
        "192.88.99.1",
        "3fff::1",
        "3fff:fff::1",
        "2620:4f:8000::1",
        "5f00::1",
        "64:ff9b:1::1",
        "2001:20::1",
        "192.175.48.1",
        "100::1",
    ],
)
def test_addresses_of_this_network_are_not_open(address: str) -> None:
    assert not is_open(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "192.89.0.1", "2001:4860:4860::8888", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_open_internet_are_open(address: str) -> None:
    assert is_open(address)


def test_a_file_of_another_machine_is_refused() -> None:
    assert malformed("file://evil.example/models/a") == (
        "a file is one of this machine, and the address names 'evil.example'"
    )
    assert malformed("file://localhost/models/a") == malformed("file:///models/a") == ""


@pytest.mark.parametrize(
    "uri",
    [
        "https://ann:pa55@models.example/invocations",
        "https://TOKEN@models.example/invocations",
        "https://models.example/invocations?token=abc",
        "https://models.example/invocations?v=2&api_key=abc",
        "https://store.example/model?sv=2024&sig=abc",
        "s3://bucket/model?X-Amz-Security-Token=abc",
        "https://models.example/invocations#access_token=abc",
        "sftp://ann:pa55@store.example/model",
    ],
)
def test_credentials_in_a_uri_are_refused_without_being_repeated(uri: str) -> None:
    problem = malformed(uri)
    assert problem.startswith("the address holds credentials")
    assert not any(secret in problem for secret in ("pa55", "TOKEN", "abc"))


@pytest.mark.parametrize(
    "uri",
    [
        "models:/sales@champion",
        "abfss://container@account.dfs.core.windows.net/model",
        "wasbs://container@account.blob.core.windows.net/model",
        "https://models.example/invocations?version=2",
        "sftp://ann@store.example/model",
        "https://host.example:8080/sales@champion/invocations",
        "s3://bucket/key/model",
    ],
)
def test_what_holds_no_credentials_is_taken(uri: str) -> None:
    assert malformed(uri) == ""


@given(secret=_SECRETS)
def test_a_password_is_never_shown(secret: str) -> None:
    text = f"GET https://ann:{secret}@models.example/invocations failed, see http://ann:{secret}@other.example"
    assert "S3CRET" not in redacted(text)
    assert redacted(text).count("***@") == 2


@pytest.mark.parametrize("text", ["", "no address", "models:/sales@champion", "/models/a@b?c=d", "http://h:80/a@b"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text
