"""A folder with tables, good ones and bad ones, and a model that was trained on the command line."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import TRAIN, run
from stores import new_store

from metamodel.datasets import make_store_sales


@pytest.fixture
def sales() -> pd.DataFrame:
    """Two stores with two products, and the five special stores."""
    return make_store_sales(n_stores=2, n_products=2, n_weeks=30)


@pytest.fixture(scope="session")
def _tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table as CSV, as Parquet and as a folder of Parquet files."""
    folder, sales = tmp_path_factory.mktemp("tables"), make_store_sales(n_stores=2, n_products=2, n_weeks=30)
    sales.to_csv(folder / "sales.csv", index=False)
    sales.to_parquet(folder / "sales.parquet")
    (folder / "parts").mkdir()
    for i, part in enumerate((sales.iloc[:50], sales.iloc[50:])):
        part.to_parquet(folder / f"parts/{i}.parquet")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _tables: Path) -> Path:
    """The working directory, with these tables, which the test may change."""
    shutil.copytree(_tables, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def no_runs_of_others(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of a file's own: to load every run of the session's twice a test takes longer than the test."""
    return new_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def trained_bundle(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a registered model; the table it learnt is `make_store_sales(2, 2, 30)`."""
    table = tmp_path_factory.mktemp("trained") / "sales.parquet"
    make_store_sales(n_stores=2, n_products=2, n_weeks=30).to_parquet(table)
    path = table.with_name("bundle")
    registered = ("--register", "trained", "--alias", "champion")
    result = run(*TRAIN, "--data", str(table), *registered, "--output-dir", str(path), report=True)
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture(scope="session")
def trained(trained_bundle: Path) -> str:
    """That model."""
    return "models:/trained@champion"


FILES: dict[str, bytes] = {
    "empty.csv": b"",
    "empty.parquet": b"",
    "header.csv": b"store,product,price,promotion,trend,units\n",
    "binary.csv": bytes(range(256)) * 20,
    "cut.parquet": b"PAR1 and then nothing",
    "ragged.csv": b"store,product,price,promotion,trend,units\n1,a,2,0,1,5\n1,a,2,0,1,5,6,7\n",
    "twice.csv": b"store,product,price,price,promotion,trend,units\n1,a,2,2,0,1,5\n1,a,3,3,0,1,6\n",
    "null_key.csv": b"store,product,price,promotion,trend,units\n1,a,2,0,1,5\n1,a,3,0,1,6\n,a,2,0,1,5\n",
    "text_target.csv": b"store,product,price,promotion,trend,units\n1,a,2,0,1,7.5\n1,a,3,0,1,many\n",
    "no_target.csv": b"store,product,price,promotion,trend,units\n1,a,2,0,1,\n1,a,3,0,1,\n",
    "infinite.csv": b"store,product,price,promotion,trend,units\n1,a,inf,0,1,2\n1,a,inf,0,1,3\n",
    "fraction_key.csv": b"store,product,price,promotion,trend,units\n1.5,a,2,0,1,2\n2.5,a,3,0,1,3\n",
    "sales.xlsx": b"",
    "days.csv": b"store,product,price,promotion,trend,units,soon,gap\n1,a,2,0,1,5,2024-01-01,2\n1,a,3,0,1,6,soon,\n",
    "weights.csv": b"store,product,price,promotion,trend,units,w\n1,a,2,0,1,5,1\n1,a,3,0,1,6,-0.5\n",
    "exceptions.csv": b"store,product,min_rows\n77,P001,5\n",
    "space.yaml": b"ridge:\n  alhpa: {low: 1, high: 2}\n",
    "other_space.yaml": b"rigde:\n  alpha: {low: 1, high: 2}\n",
}


@pytest.fixture
def bad_files(folder: Path) -> None:
    for name, content in FILES.items():
        Path(name).write_bytes(content)
    Path("nothing").mkdir()
    names = ["store", "product", "price", "price", "promotion", "trend", "units"]
    columns = [pa.array([1, 1]), pa.array(["a", "a"]), *(pa.array([1.0, 2.0]) for _ in range(5))]
    pq.write_table(pa.Table.from_arrays(columns, names=names), "twice.parquet")
