"""A history in an object store: a real server of S3's protocol, of this machine."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from histories import everything, generations

import metamodel
from metamodel.exceptions import InputError, StorageFailed
from metamodel.lineage.history_store import HistoryStore

moto = pytest.importorskip("moto.server", reason="needs moto")
pytest.importorskip("deltalake")

pytestmark = pytest.mark.server

PLACE = "s3://lake/history"


@pytest.fixture(scope="module")
def store_address() -> Iterator[str]:
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def lake(store_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the server as S3's own clients do; it has one bucket, `lake`."""
    settings = {"ENDPOINT_URL": store_address, "ACCESS_KEY_ID": "ann", "SECRET_ACCESS_KEY": "-", "REGION": "us-east-1"}
    for name, value in {**settings, "ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    import boto3

    boto3.client("s3", endpoint_url=store_address, region_name="us-east-1").create_bucket(Bucket="lake")


def event(number: int) -> dict[str, Any]:
    facts = {"model": "sales", "id": f"id{number}", "time": f"2026-11-{number:02}", "kind": "promote"}
    return {**facts, "alias": "champion", "version": number, "replaced": None, "done_by": "ann"}


def test_a_history_in_an_object_store_says_what_one_in_a_folder_says(tmp_path: Path) -> None:
    for generation in generations(tmp_path):
        for place in (PLACE, tmp_path / "history"):
            store = HistoryStore(place)
            store.check_writable()
            store.write_generation(generation)
            store.write_generation(generation)  # again, it is the same
            store.append_event(event(generation.version))
    in_store, in_folder = everything(HistoryStore(PLACE)), everything(HistoryStore(tmp_path / "history"))
    for name, rows in in_folder.items():
        assert in_store[name].equals(rows)
    sql = "SELECT version, count(*) AS n FROM lineage GROUP BY 1 ORDER BY 1"
    answers = [metamodel.history("sales", sql=sql, history=place) for place in (PLACE, tmp_path / "history")]
    assert (
        answers[0]["n"].tolist() == answers[1]["n"].tolist() == in_folder["lineage"].groupby("version").size().tolist()
    )


def test_writers_at_once_lose_no_event() -> None:
    place = "s3://lake/together"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: HistoryStore(place).append_event(event(number)), range(1, 9)))
    assert everything(HistoryStore(place))["events"]["id"].tolist() == [f"id{number}" for number in range(1, 9)]


def test_a_bucket_that_is_not_there_is_told_before_anything_is_written() -> None:
    with pytest.raises(StorageFailed, match=r"'s3://nowhere/history/versions' cannot be read: .*bucket does not exist"):
        HistoryStore("s3://nowhere/history").check_writable()


def test_a_place_without_a_history_is_told() -> None:
    with pytest.raises(InputError, match="holds no version of 'sales'"):
        metamodel.history("sales", history="s3://lake/nothing")
