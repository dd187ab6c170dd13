"""An update says how its Delta table has changed since the version before."""

import mlflow
import pandas as pd
import pytest

import metamodel
from metamodel.exceptions import InputError
from metamodel.lifecycle.table_difference import table_difference

deltalake = pytest.importorskip("deltalake")

ROWS = pd.DataFrame({"shop": ["a", "b"] * 20, "x": range(40), "y": [float(i) for i in range(40)]})

OPTIONS = {"features": ["x"], "n_jobs": 1}


@pytest.fixture
def trained(tmp_path) -> tuple[str, str]:
    """A model of the table's first version, and the table's name."""
    path = str(tmp_path / "table")
    deltalake.write_deltalake(path, ROWS)
    result = metamodel.train(f"delta:{path}", "shop", "y", **OPTIONS)
    return metamodel.log_model(result, report=False).model_uri, f"delta:{path}"


def test_columns_that_are_new_gone_or_of_another_type_are_named(trained):
    model, table = trained
    changed = ROWS.assign(x=ROWS["x"].astype(float), z=1).drop(columns="y")
    deltalake.write_deltalake(table.removeprefix("delta:"), changed, mode="overwrite", schema_mode="overwrite")
    assert table_difference(model, table) == (
        f"{table}@v1 has other columns than {table}@v0, on which {model} was trained: "
        "gone: y; new: z; changed: x (long, now double)."
    )


def test_an_update_says_it_before_it_trains(trained, capsys):
    model, table = trained
    deltalake.write_deltalake(table.removeprefix("delta:"), ROWS.assign(z=1), mode="overwrite", schema_mode="overwrite")
    metamodel.update(model, table)
    assert "has other columns than" in capsys.readouterr().err
    metamodel.update(model, f"{table}@v0")
    assert "has other columns than" not in capsys.readouterr().err


def test_new_rows_alone_are_no_difference(trained):
    model, table = trained
    deltalake.write_deltalake(table.removeprefix("delta:"), ROWS, mode="append")
    assert table_difference(model, table) == ""


def test_of_other_tables_and_models_there_is_nothing_to_say(trained, tmp_path):
    model, table = trained
    assert table_difference(model, ROWS) == ""
    assert table_difference(str(tmp_path), table) == ""
    with mlflow.start_run() as run:
        pass
    assert table_difference(f"runs:/{run.info.run_id}", table) == ""


def test_a_table_that_is_not_there_is_told(trained):
    with pytest.raises(InputError, match="cannot be read"):
        table_difference(trained[0], "delta:/no/such/table")
