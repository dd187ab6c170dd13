"""Requests that carry a mark in each place where a caller can put something, to look for it in what comes back."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from serving import CSV, JSON, PARQUET

MARK = "marker-41c7"

ROW: dict[str, Any] = {"country": "FR", "store": 1, "price": 0.5}

HEADERS = {f"X-{MARK}": MARK, "Authorization": MARK, "User-Agent": MARK, "Cookie": f"{MARK}={MARK}", "Host": MARK}


def _records(row: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"dataframe_records": [row], **more}).encode()


def _table(name: str, value: Any) -> bytes:
    return json.dumps({name: value}).encode()


def _file(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


_LINES = f"country,store,price\n{MARK},{MARK},{MARK}\n"

# A body and its type each; what the mark is in is in the name.
BODIES: dict[str, tuple[bytes, str]] = {
    "a key": (_records(ROW | {"country": MARK}), JSON),
    "a key of integers": (_records(ROW | {"store": MARK}), JSON),
    "a feature": (_records(ROW | {"price": MARK}), JSON),
    "a further column": (_records(ROW | {MARK: 1}), JSON),
    "the only column": (_records({MARK: MARK}), JSON),
    "two columns": (_table("dataframe_split", {"columns": [MARK, MARK], "data": [[MARK, 1]]}), JSON),
    "an index": (_table("dataframe_split", {"columns": [*ROW], "index": [[MARK]], "data": [[*ROW.values()]]}), JSON),
    "instances": (_table("instances", [{MARK: MARK}]), JSON),
    "inputs": (_table("inputs", {MARK: [MARK]}), JSON),
    "the whole input": (_table("inputs", MARK), JSON),
    "the name of a table": (_table(MARK, MARK), JSON),
    "two names of tables": (json.dumps({"input": MARK, MARK: MARK}).encode(), JSON),
    "a chat": (_table("messages", [{"role": MARK, "content": MARK}]), JSON),
    "a prompt": (_table("prompt", MARK), JSON),
    "the name of a param": (_records(ROW, params={MARK: MARK}), JSON),
    "the param unknown": (_records(ROW, params={"unknown": MARK}), JSON),
    "the param predict_method": (_records(ROW, params={"predict_method": MARK}), JSON),
    "the param detail": (_records(ROW, params={"detail": MARK}), JSON),
    "the params": (_records(ROW, params=MARK), JSON),
    "a list of params": (_records(ROW, params=[MARK]), JSON),
    "a key that is refused": (_records(ROW | {"country": MARK}, params={"unknown": "error"}), JSON),
    "no JSON": (b"{" + MARK.encode(), JSON),
    "a header line": (f"{MARK}\n{MARK}\n".encode(), CSV),
    "fields": (_LINES.encode(), CSV),
    "one field too many": (f"{_LINES}1,2,3,{MARK}\n".encode(), CSV),
    "an open quote": (_LINES.replace(",", ',"', 1).encode(), CSV),
    "a column twice": (f"country,{MARK},{MARK}\nFR,1,2\n".encode(), CSV),
    "no UTF-8": (b"\xff" + MARK.encode(), CSV),
    "the charset of CSV": (_LINES.encode(), f"{CSV}; charset={MARK}"),
    "the charset of JSON": (_records(ROW), f"{JSON}; charset={MARK}"),
    "a type": (b"a", MARK),
    "no Parquet": (f"PAR1{MARK}PAR1".encode(), PARQUET),
    "a column of Parquet": (_file({MARK: [MARK]}), PARQUET),
    "a key of Parquet": (_file({"country": [MARK], "store": [MARK], "price": [MARK]}), PARQUET),
    "a list in Parquet": (_file({"country": [[MARK]], "store": [1], "price": [0.5]}), PARQUET),
    "a record in Parquet": (_file({"country": ["FR"], "store": [1], "price": [{MARK: MARK}]}), PARQUET),
}

# Method and target each, beside bodies.
TARGETS = [
    ("GET", f"/{MARK}"),
    ("GET", f"/ping?{MARK}={MARK}"),
    ("GET", f"/invocations/{MARK}"),
    ("GET", f"/metrics/{MARK}"),
    ("PUT", f"/invocations?{MARK}"),
    ("DELETE", f"/version?{MARK}"),
    (MARK.upper(), "/ping"),
]
