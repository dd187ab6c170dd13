"""`metamodel score`: rows with their predictions, counted by status, and nothing written where a call is wrong."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import by_hand, run, strict


@pytest.mark.parametrize("table", ["sales.csv", "sales.parquet", "parts"])
@pytest.mark.parametrize("output", ["answers.parquet", "new/answers.csv"])
def test_score_writes_the_rows_with_their_predictions(
    folder: Path, sales: pd.DataFrame, trained: str, table: str, output: str
) -> None:
    result = run("score", "--data", table, "--model", trained, "--output", output)

    assert result.exit_code == 0
    counted = rf"214 rows written to {output}\n +child +183\n +unknown_group +31\n"
    assert re.fullmatch(counted + r"against the target in 176 answered rows: mae .*, rmse .*, r2 .*\n", result.stdout)
    assert "unknown_group, 30 rows: No child model for group" in result.stderr
    written = pd.read_csv(output) if output.endswith("csv") else pd.read_parquet(output)
    assert list(written.columns) == [*sales.columns, "prediction", "status"]
    assert written["store"].tolist() == sales["store"].tolist()
    np.testing.assert_allclose(written["prediction"], by_hand(sales), rtol=1e-9)
    assert not list(folder.rglob(".*unfinished*"))


def test_score_json_counts_rows_by_status(folder: Path, sales: pd.DataFrame, trained: str) -> None:
    result = run("score", "--data", "sales.csv", "--model", trained, "--output", "out.csv", "--json")

    nobody = int(sales["store"].isin([90_001, 90_005]).sum())
    expected = {"child": len(sales) - nobody, "unknown_group": nobody}
    told = strict(result.stdout)
    assert {name: told[name] for name in ("output", "rows", "status", "unanswered")} == {
        "output": "out.csv",
        "rows": len(sales),
        "status": expected,
        "unanswered": nobody,
    }
    assert sum(reason["rows"] for reason in told["reasons"]) == nobody
    assert set(told["metrics"]) == {"mae", "rmse", "r2"}


@pytest.mark.parametrize(
    ("limit", "code", "said"),
    [
        ([], 0, ""),
        (["--max-failed", "0.2"], 0, ""),
        (["--max-failed", "0.1"], 1, "error: 14.5% of the rows have no answer, more than --max-failed 0.1."),
        (["--max-failed", "20"], 2, "error: --max-failed 20 is no share. Give a number from 0 to 1."),
    ],
)
def test_score_ends_with_code_1_where_too_many_rows_have_no_answer(
    folder: Path, trained: str, limit: list[str], code: int, said: str
) -> None:
    result = run("score", "--data", "sales.csv", "--model", trained, "--output", "out.csv", *limit)

    assert result.exit_code == code
    assert said in result.stderr


def test_score_that_answers_nobody_ends_with_code_1_and_the_reason(
    folder: Path, sales: pd.DataFrame, trained: str
) -> None:
    sales.assign(store=7).to_csv("unknown.csv", index=False)

    unknown = run("score", "--data", "unknown.csv", "--model", trained, "--output", "out.csv")

    assert unknown.exit_code == 1
    assert "error: No row was answered; the reasons are above." in unknown.stderr
    assert "unknown_group" in unknown.stderr.splitlines()[0]


def test_score_never_writes_over_what_it_reads(folder: Path, trained: str) -> None:
    before = Path("sales.csv").read_bytes()

    result = run("score", "--data", "sales.csv", "--model", trained, "--output", "./sales.csv")

    assert result.exit_code == 2
    assert "is, or lies in, the table that is read" in result.stderr
    assert Path("sales.csv").read_bytes() == before


def test_score_adds_the_detail_that_is_asked_for(folder: Path, trained: str) -> None:
    result = run("score", "--data", "sales.csv", "--model", trained, "--output", "out.parquet", "--detail")

    assert result.exit_code == 0
    written = pd.read_parquet("out.parquet")
    assert list(written.columns[-4:]) == ["key", "level", "child_version", "error"]
    assert written["key"].iloc[0] == '[1,"P001"]'


def test_score_under_the_policy_error_writes_nothing_when_a_group_is_unknown(folder: Path, trained: str) -> None:
    result = run("score", "--data", "sales.csv", "--model", trained, "--output", "out.csv", "--unknown", "error")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: 2 groups without a child model: (90001, 'P001'), (90005, 'P001'). First: ")
    assert not Path("out.csv").exists()
    assert not list(folder.rglob(".*unfinished*"))


BAD_SCORING = {
    "missing group column": (["--data", "no_store.csv"], "The table lacks group column 'store'"),
    "missing feature": (["--data", "no_price.csv"], "The table lacks feature column 'price'"),
    "text for a number": (["--data", "text.csv"], "Feature column 'price' holds strings, but .* trained on float64"),
    "clash of names": (
        ["--data", "clash.csv"],
        "The table already has the column 'prediction', which scoring adds. Give",
    ),
    "column twice": (["--data", "twice.csv"], "'twice.csv' has more than one column named 'price'. Rename"),
    "missing file": (["--data", "not/here.csv"], "There is no file or folder 'not/here.csv'. Check"),
    "empty file": (["--data", "empty.csv"], "'empty.csv' cannot be read"),
    "no such version": (["--model", "models:/trained/99"], "'models:/trained/99' cannot be fetched .* Check the name"),
    "no such model": (
        ["--model", "models:/nobody@champion"],
        "'models:/nobody@champion' cannot be fetched .* Check the",
    ),
    "no such path": (["--model", "nowhere"], "There is no model at 'nowhere'. Give an existing directory"),
    "foreign output": (["--output", "out.xlsx"], "'out.xlsx' is no table that can be written. End the name"),
    "output nowhere": (["--output", "/proc/no/out.csv"], "'/proc/no' cannot be used: No such file"),
    "probabilities": (
        ["--predict-method", "predict_proba"],
        "predict_proba' needs a classifier, but this model does reg",
    ),
    "policy": (["--unknown", "guess"], "unknown='guess' is unknown. Use one of"),
}


@pytest.mark.parametrize("case", BAD_SCORING)
@pytest.mark.usefixtures("bad_files")
def test_bad_input_to_score_is_one_line_and_writes_nothing(
    folder: Path, sales: pd.DataFrame, trained: str, case: str
) -> None:
    changed, message = BAD_SCORING[case]
    sales.drop(columns="store").to_csv("no_store.csv", index=False)
    sales.drop(columns="price").to_csv("no_price.csv", index=False)
    sales.assign(price="cheap").to_csv("text.csv", index=False)
    sales.assign(prediction=0).to_csv("clash.csv", index=False)

    result = run("score", "--data", "sales.csv", "--model", trained, "--output", "out.csv", *changed)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(f"error: .*{message}.*\n", result.stderr)
    assert not Path("out.csv").exists()
    assert not list(folder.glob(".*"))
