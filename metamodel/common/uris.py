r"""What a URI's address is, and whether it is one of the open internet.

Parsers disagree about odd addresses: of ``http://127.0.0.1\@8.8.8.8/`` one reads the first host, another the second.
An address is therefore refused unless it has one meaning.
"""

import ipaddress
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import ParseResult, parse_qsl, unquote, urlparse

__all__ = [
    "is_endpoint",
    "is_local",
    "is_open",
    "local_path",
    "malformed",
    "private_address",
    "redacted",
    "without_credentials",
]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where others have a host these have a bucket, a profile, or nothing.
_WITHOUT_HOST = frozenset(["s3", "gs", "wasbs", "dbfs", "models", "runs"])

# Of these, readers look at the path alone.
_CUT = frozenset(["file", "models", "runs", "mlflow-artifacts"])

# An account of these is reached by its cloud's own rules, also where its address is a private link.
_AZURE = (".core.windows.net", ".core.chinacloudapi.cn", ".core.usgovcloudapi.net", ".fabric.microsoft.com")

# What stands before the @ of these is a container or a profile.
_NAMES_BEFORE_HOST = frozenset(["abfss", "abfs", "wasbs", "wasb", "dbfs", "models", "runs", "databricks"])

_SECRET = re.compile("token|secret|signature|^sig$|passw|passphrase|credential|api.?key|access.?key|^key$|auth", re.I)

# The user's part of an address, also where a password holds a slash, though not the port of http://host:80/sales@alias.
_USER = re.compile(r"(?<=://)(?:[^\s/@:]+:(?!\d+/)[^\s@]*@|[^\s/?#]*@)")

_QUERY_VALUE = re.compile(r"(?<=[?&#;])([\w.~%+-]+=)[^\s&#;'\")]+")

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

# The only block of which addresses of the open internet are given out (IANA, IPv6 Address Space).
_UNICAST = ipaddress.ip_network("2000::/3")

# Entries of IANA's special-purpose registries, and of RFC 7526, that the `ipaddress` of Python 3.11 does not know.
_SPECIAL = [
    ipaddress.ip_network(block)
    for block in (
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "2001::/23",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
]


def redacted(text: str) -> str:
    """Take user names, passwords and the values of queries out of the URIs in a text that people, or files, get to see.

    Examples
    --------
    >>> redacted("https://ann:pa55@models.example/fr/invocations?token=abc&v=2 gave no answer")
    'https://***@models.example/fr/invocations?token=***&v=*** gave no answer'
    >>> redacted("models:/sales@champion"), redacted("http://host:80/sales@champion")
    ('models:/sales@champion', 'http://host:80/sales@champion')
    """
    return _QUERY_VALUE.sub(r"\1***", _USER.sub("***@", text)) if "://" in text else text


def without_credentials(value: Any) -> Any:
    """Do the same to every text in a tree of dicts and lists, keys apart.

    Examples
    --------
    >>> without_credentials({"previous": ["https://ann:pa55@store.example/model"], "trials": 30})
    {'previous': ['https://***@store.example/model'], 'trials': 30}
    """
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: without_credentials(entry) for name, entry in value.items()}
    return type(value)(map(without_credentials, value)) if type(value) in (list, tuple) else value


def is_local(uri: str) -> bool:
    """Whether a URI is a path of this machine."""
    return urlparse(uri).scheme in ("", "file")


def local_path(uri: str) -> Path:
    """Path that a file URI, or a plain path, names."""
    parsed = urlparse(uri)
    return Path(unquote(parsed.path) if parsed.scheme == "file" else uri)


def is_endpoint(uri: str) -> bool:
    """Whether a URI names a scoring server rather than files.

    Examples
    --------
    >>> is_endpoint("https://models.example/fr/invocations"), is_endpoint("https://store.example/model")
    (True, False)
    """
    parsed = urlparse(uri)
    return parsed.scheme in ("http", "https") and parsed.path.rstrip("/").endswith("/invocations")


def malformed(uri: str) -> str:
    r"""Say what is wrong with the address in a URI, or "".

    Examples
    --------
    >>> malformed("http://127.0.0.1\\@8.8.8.8/invocations")
    "the address '127.0.0.1\\\\@8.8.8.8' can be read in more than one way"
    >>> malformed("https://models.example/fr/invocations"), malformed("models:/my model@champion")
    ('', '')
    """
    try:
        parsed = urlparse(uri)
        return _ambiguous(uri, parsed) or _credentials(parsed) or _host_problem(uri, parsed)
    except ValueError as error:  # urllib3's LocationParseError is one
        return f"the address cannot be read ({error})"


def _ambiguous(uri: str, parsed: ParseResult) -> str:
    if not is_local(uri) and any(ord(character) < 32 or ord(character) == 127 for character in uri):
        return "the address holds a control character"
    if parsed.scheme in _CUT and set("?#") & set(uri):
        return "the address holds ? or #, and what follows would be left out"
    if parsed.scheme in ("runs", "mlflow-artifacts") and (quoted := re.search("%[0-9a-fA-F]{2}", uri)):
        return f"the address holds {quoted[0]}, which servers read in more than one way"
    return ""


def _credentials(parsed: ParseResult) -> str:
    """Refuse what would be stored, and shown, with the URI."""
    user = "" if parsed.scheme in _NAMES_BEFORE_HOST else parsed.netloc.rpartition("@")[0]
    named = [*parse_qsl(parsed.query, keep_blank_values=True), *parse_qsl(parsed.fragment, keep_blank_values=True)]
    secret = ":" in user or (user and parsed.scheme in ("http", "https"))  # elsewhere a name alone logs nobody in
    if (secret and "\\" not in user) or any(_SECRET.search(name) for name, _ in named):
        return "the address holds credentials; leave them out, and give them to the environment (docs/references.md)"
    return ""


def _host_problem(uri: str, parsed: ParseResult) -> str:
    if parsed.scheme == "file" and parsed.netloc not in ("", "localhost"):
        return f"a file is one of this machine, and the address names {parsed.netloc!r}"
    if is_local(uri) or parsed.scheme in _WITHOUT_HOST:
        return ""
    host = _host(uri)
    _ = parsed.port  # raises where it is none
    if parsed.scheme in ("http", "https") and not host:
        return "the address has no host"
    plain = parsed.netloc.isascii() and "\\" not in parsed.netloc and " " not in parsed.netloc
    if parsed.netloc and not (plain and (parsed.hostname or "") == host):
        shown = redacted(f"://{parsed.netloc}").removeprefix("://") if ":" in parsed.netloc else parsed.netloc
        return f"the address {shown!r} can be read in more than one way"
    return ""


def private_address(uri: str) -> str:
    """Say which private, loopback or link-local address a URI leads to, that its host cannot be resolved, or ""."""
    scheme = urlparse(uri).scheme
    host = "" if is_local(uri) or scheme in _WITHOUT_HOST else _host(uri)
    if not host or (scheme == "abfss" and host.endswith(_AZURE)):
        return ""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return f"the host {host!r} cannot be resolved"
    if odd := sorted(address for address in found if not is_open(address)):
        return f"{odd[0]} is a private, loopback or link-local address"
    return ""


def is_open(address: str) -> bool:
    """Whether an IP address belongs to the open internet: not to this machine, its network, or a metadata service.

    Examples
    --------
    >>> [is_open(address) for address in ("8.8.8.8", "10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::")]
    [True, False, False, False, False]
    """
    parsed = _carried(ipaddress.ip_address(address.partition("%")[0]))
    if parsed.version == 6 and parsed not in _UNICAST:
        return False
    special = parsed.is_reserved or parsed.is_multicast or any(parsed in block for block in _SPECIAL)
    return parsed.is_global and not special


def _carried(address: _Address) -> _Address:
    """Take the IPv4 address out of an IPv6 address that leads to it: mapped, 6to4 and NAT64."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _host(uri: str) -> str:
    from urllib3.util import parse_url  # whoever only takes credentials out of a text does without

    parsed: ParseResult = urlparse(uri)
    return (parse_url(uri).host or "").strip("[]").lower() if parsed.scheme and parsed.netloc else ""
