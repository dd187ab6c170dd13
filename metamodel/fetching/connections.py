"""Connections to endpoints that look at the address they have reached before anything is sent.

A name may lead elsewhere when the connection is made than when it was checked; the address of the other end may not.
"""

import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from metamodel.addresses import is_open
from metamodel.exceptions import ChildUnavailable

__all__ = ["open_session"]


def open_session(connections: int, *, allow_private: bool) -> requests.Session:
    """Open a session that threads share.

    Parameters
    ----------
    connections
        Endpoints, and connections to each, that are kept.
    allow_private
        Whether the other end may be a private, loopback or link-local address. A proxy of the environment may be one.
    """
    session = requests.Session()
    adapter = (HTTPAdapter if allow_private else _OpenAdapter)(connections, connections)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _checked(reached: socket.socket) -> socket.socket:
    address = str(reached.getpeername()[0])
    if not is_open(address):
        reached.close()
        raise ChildUnavailable(f"{address} is a private, loopback or link-local address; allow_private is off")
    return reached


class _OpenConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())


class _OpenTLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())


class _OpenPool(HTTPConnectionPool):
    ConnectionCls = _OpenConnection


class _OpenTLSPool(HTTPSConnectionPool):
    ConnectionCls = _OpenTLSConnection


class _OpenAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _OpenPool, "https": _OpenTLSPool}
