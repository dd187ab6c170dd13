"""Addresses in URIs: each has one meaning, and what leads into a private network is known."""

from pathlib import Path

import pytest

from metamodel.common.uris import is_local, is_open, local_path, malformed, private_address

pytestmark = pytest.mark.tableless


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
    "address", ["127.0.0.1", "169.254.169.254", "fe80::1%eth0", "::1", "224.0.0.1", "64:ff9b::7f00:1"]
)
def test_addresses_of_this_network_are_not_open(address: str) -> None:
    assert not is_open(address)
