"""What the tests of serving share: a table, its requests, and how they are sent."""

import io
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import requests
from servers import Server

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
COLUMNS = ["country", "store", "price", "count", "colour"]
ROW = {"country": "FR", "store": 1, "price": 0.5, "count": 3, "colour": "red"}


def sales() -> pd.DataFrame:
    """Six groups of 20 rows, with a number, a count and a text as features."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "country": np.repeat(["FR", "DE", "NA"], 40),
            "store": np.tile(np.repeat([1, 2], 20), 3),
            "price": rng.normal(size=120),
            "count": rng.integers(0, 9, 120),
            "colour": rng.choice(["red", "blue", "007"], 120),
        }
    )
    return frame.assign(sales=frame["price"] * 2 + frame["store"] + rng.normal(size=120))


def post(server: Server, body: str | bytes, content_type: str | None = JSON) -> requests.Response:
    """Send a body to a server."""
    data = body.encode() if isinstance(body, str) else body
    headers = {} if content_type is None else {"Content-Type": content_type}
    return requests.post(f"{server.url}/invocations", data=data, headers=headers, timeout=60)


def strict(text: str) -> Any:
    """Read JSON as the standard has it: without NaN and infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON: {text}")

    return json.loads(text, parse_constant=refuse)


def records(*changes: dict[str, Any], **more: Any) -> str:
    """Write a request with `ROW` and its changes, one a row."""
    return json.dumps({"dataframe_records": [ROW | change for change in changes], **more})


def parquet() -> bytes:
    """Write two rows."""
    buffer = io.BytesIO()
    pd.DataFrame([ROW, ROW]).to_parquet(buffer, index=False)
    return buffer.getvalue()


def figure(server: Server, name: str) -> float:
    """Read one line of a server's metrics."""
    text = requests.get(f"{server.url}/metrics", timeout=60).text
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


def refused(answer: requests.Response, status: int, message: str) -> None:
    """Hold an answer to be a refusal that says so."""
    assert answer.status_code == status, answer.text
    assert message in strict(answer.text)["message"]
