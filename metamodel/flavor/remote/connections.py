"""Connections to endpoints and to stores on the web: to addresses that are allowed; and timely, to endpoints.

A name may lead elsewhere when the connection is made than when it was checked; the address of the other end may not, so
it is looked at before anything is sent. A timeout of `requests` begins anew with every byte; a deadline does not, so
each read waits for no more than what is left of it.
"""

import http.client
import io
import socket
import time
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from metamodel.common.fork_lock import ForkLock
from metamodel.common.uris import is_open
from metamodel.exceptions import ChildUnavailable

__all__ = ["deadline", "open_session", "store_session"]

# Moment, of the monotonic clock, by which the answer to this context's request must have come.
deadline: ContextVar[float] = ContextVar("metamodel_deadline")


def open_session(connections: int, *, allow_private: bool) -> requests.Session:
    """Open a session that threads share; whoever sends a request says its `deadline`.

    Parameters
    ----------
    connections
        Endpoints, and connections to each, that are kept.
    allow_private
        Whether the other end may be a private, loopback or link-local address. A proxy of the environment may be one.
    """
    session = requests.Session()
    adapter = (_Adapter if allow_private else _OpenAdapter)(connections, connections)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


_sessions: dict[str, requests.Session] = {}

_lock = ForkLock(forget=_sessions.clear)


def store_session() -> requests.Session:
    """Share, among the threads of this process, a session for files on the web, with no address that is private."""
    with _lock:
        if "store" not in _sessions:
            session = _sessions["store"] = requests.Session()
            session.mount("http://", _StoreAdapter())
            session.mount("https://", _StoreAdapter())
        return _sessions["store"]


class _Timely(io.RawIOBase):
    """Reads from a socket until the deadline."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._raw = source.makefile("rb", buffering=0)
        self._until = deadline.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer came too slowly")
        self._source.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Source:
    """What http.client knows of a socket when it reads an answer."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Timely(self._source))


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Source(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _Response


class _TLSConnection(HTTPSConnection):
    response_class = _Response


def _checked(reached: socket.socket) -> socket.socket:
    address = str(reached.getpeername()[0])
    if not is_open(address):
        reached.close()
        raise ChildUnavailable(f"{address} is a private, loopback or link-local address; allow_private is off")
    return reached


class _Checked:
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())  # type: ignore[misc]  # of the connection beside it


class _OpenConnection(_Checked, _Connection):
    pass


class _OpenTLSConnection(_Checked, _TLSConnection):
    pass


class _StoreConnection(_Checked, HTTPConnection):
    pass


class _StoreTLSConnection(_Checked, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _OpenPool(HTTPConnectionPool):
    ConnectionCls = _OpenConnection


class _OpenTLSPool(HTTPSConnectionPool):
    ConnectionCls = _OpenTLSConnection


class _StorePool(HTTPConnectionPool):
    ConnectionCls = _StoreConnection


class _StoreTLSPool(HTTPSConnectionPool):
    ConnectionCls = _StoreTLSConnection


class _PoolAdapter(HTTPAdapter):
    pools: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools


class _StoreAdapter(_PoolAdapter):
    pools = {"http": _StorePool, "https": _StoreTLSPool}  # noqa: RUF012 - never changed


class _Adapter(_PoolAdapter):
    pools = {"http": _Pool, "https": _TLSPool}  # noqa: RUF012 - never changed

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # whose own pools say how it is spoken to
            manager.pool_classes_by_scheme = _Adapter.pools  # the proxy decides what a name leads to
        return manager


class _OpenAdapter(_Adapter):
    pools = {"http": _OpenPool, "https": _OpenTLSPool}  # noqa: RUF012 - never changed
