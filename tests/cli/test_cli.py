"""The command line: results on stdout, progress on stderr, one line and exit code 2 for whatever a person got wrong."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from places import ROOT
from servers import Server
from sklearn.linear_model import Ridge

import metamodel
from metamodel.cli import main
from metamodel.datasets import make_store_sales

# What each pandas first finds wrong with a binary file that is called a CSV.
NO_TEXT = "'utf-8' codec" if int(pd.__version__.partition(".")[0]) < 3 else r"Error tokenizing data\."
FEATURES = ["price", "promotion", "trend"]
TRAIN = ["train", "--group-by", "store,product", "--target", "units", "--features", ",".join(FEATURES), "--n-jobs", "1"]


@pytest.fixture
def sales() -> pd.DataFrame:
    """Two stores with two products, and the five special stores."""
    return make_store_sales(n_stores=2, n_products=2, n_weeks=30)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sales: pd.DataFrame) -> Path:
    """The working directory, with the table as CSV, as Parquet and as a folder of Parquet files."""
    monkeypatch.chdir(tmp_path)
    sales.to_csv("sales.csv", index=False)
    sales.to_parquet("sales.parquet")
    Path("parts").mkdir()
    for i, part in enumerate((sales.iloc[:50], sales.iloc[50:])):
        part.to_parquet(f"parts/{i}.parquet")
    return tmp_path


@pytest.fixture(scope="module")
def trained_bundle(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a registered model; the table it learnt is `make_store_sales(2, 2, 30)`."""
    table = tmp_path_factory.mktemp("trained") / "sales.parquet"
    make_store_sales(n_stores=2, n_products=2, n_weeks=30).to_parquet(table)
    path = table.with_name("bundle")
    result = run(
        *TRAIN, "--data", str(table), "--register", "trained", "--alias", "champion", "--output-dir", str(path)
    )
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def trained(trained_bundle: Path) -> str:
    """That model."""
    return "models:/trained@champion"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def strict(text: str) -> Any:
    """Parse JSON as other languages do: NaN is none."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def by_hand(sales: pd.DataFrame) -> pd.Series:
    """What one Ridge for each group predicts for its own rows."""
    parts = []
    for _, group in sales.dropna(subset="units").groupby(["store", "product"]):
        if len(group) > 1:
            child = Ridge().fit(group[FEATURES].to_numpy(float), group["units"].to_numpy())
            rows = sales.loc[
                (sales["store"] == group["store"].iloc[0]) & (sales["product"] == group["product"].iloc[0])
            ]
            parts.append(pd.Series(child.predict(rows[FEATURES].to_numpy(float)), index=rows.index))
    return pd.concat(parts).reindex(sales.index)


# train


def test_train_says_what_became_of_the_groups_and_where_the_model_is(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--register", "said", "--alias", "champion")

    assert result.exit_code == 0
    assert "groups            9: 7 fitted, 2 skipped, 0 failed" in result.stdout
    assert "registered        said, version 1, alias champion" in result.stdout
    assert "A few predictions:" in result.stdout
    run_id = re.search(r"^run +(\w+)$", result.stdout, re.MULTILINE)[1]
    assert MlflowClient().get_run(run_id).info.status == "FINISHED"
    assert MlflowClient().get_model_version_by_alias("said", "champion").run_id == run_id


def test_train_takes_every_option_of_a_careful_training(folder: Path, trained: str) -> None:
    rows = ["store,product,skip,estimator,estimator_params", "1,P001,True,,", '2,P001,,ridge,"{""alpha"": 3}"']
    Path("exceptions.csv").write_text("\n".join(rows))
    table = pd.read_parquet("sales.parquet")
    table.assign(weight=1.0, trend=table["trend"].astype(str)).to_parquet("sales.parquet")
    options = ["--estimator", "ridge,decision_tree", "--metric", "mae", "--split", "rolling:folds=2,horizon=3"]
    options += ["--time-column", "week", "--season", "4", "--sample-weight", "weight", "--duplicates", "keep"]
    options += ["--overrides", "exceptions.csv", "--group-seconds", "60", "--previous", trained]
    result = run(*TRAIN, "--data", "sales.parquet", *options)

    assert result.exit_code == 0, result.stderr
    assert "groups            9: 6 fitted, 3 skipped, 0 failed" in result.stdout
    assert re.search(r"^baseline +\d of \d groups beat it, median skill ", result.stdout, re.MULTILINE)
    run_id = re.search(r"^run +(\w+)$", result.stdout, re.MULTILINE)[1]
    assert MlflowClient().get_run(run_id).data.tags["metamodel.checks"] == "schema"
    found = json.loads(
        Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="checks.json")).read_text()
    )
    assert "changed 'trend': number → string" in found["findings"][0]["message"]


def test_train_goes_on_from_the_children_of_a_registered_model(folder: Path, trained: str) -> None:
    def gone_on(*options: str) -> Result:
        return run(*TRAIN, "--data", "sales.csv", "--estimator", "sklearn.linear_model.SGDRegressor", *options)

    assert gone_on("--register", "sgd", "--alias", "champion").exit_code == 0
    result = gone_on("--previous", "models:/sgd@champion", "--warm-start", "true", "--json")
    assert json.loads(result.stdout)["summary"]["groups_warm"] == 7
    assert (
        "warm starts       7 groups went on"
        in gone_on("--previous", "models:/sgd@champion", "--warm-start", "1").stdout
    )
    refused = run(*TRAIN, "--data", "sales.csv", "--previous", trained, "--warm-start", "true")
    assert refused.exit_code == 2
    assert "no candidate can go on from an earlier fit (Ridge has neither warm_start nor" in refused.stderr


def test_train_refuses_a_table_with_findings_where_it_is_told_to(folder: Path) -> None:
    schema = '{"store": "integer", "product": "string", "price": "number", "promotion": "boolean", "trend": "number"}'
    result = run(*TRAIN, "--data", "sales.csv", "--schema", schema, "--strict", "true")

    assert result.exit_code == 2
    message = (
        "error: 1 data check failed under strict=True: (1) The columns are not the expected ones: changed 'promotion'"
    )
    assert result.stderr.strip().splitlines()[-1].startswith(message)


@pytest.mark.parametrize("table", ["sales.csv", "sales.parquet", "parts"])
def test_train_takes_a_csv_a_parquet_file_and_a_folder(folder: Path, sales: pd.DataFrame, table: str) -> None:
    result = run(*TRAIN, "--data", table, "--json")

    facts = strict(result.stdout)
    assert facts["registered_model"] is facts["version"] is facts["alias"] is None
    assert facts["summary"]["groups_fitted"] == 7
    answers = mlflow.pyfunc.load_model(facts["model_uri"]).predict(sales)
    np.testing.assert_allclose(answers["prediction"].astype(float), by_hand(sales), rtol=1e-9)


@pytest.mark.tableless
def test_train_writes_results_to_stdout_and_progress_to_stderr(folder: Path) -> None:
    command = [sys.executable, "-m", "metamodel", *TRAIN, "--data", "sales.csv", "--json", "--register", "two-streams"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with terminal() as (end, text):
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=end, timeout=120, check=False)

    assert done.returncode == 0, text()
    assert strict(done.stdout.decode())["version"] == "1"
    assert re.search(r"training: +100%.* 9/9 .*fitted=7, skipped=2, failed=0", text())


def test_train_writes_the_report_beside_the_bundle(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--output-dir", "out/bundle")

    assert "report            " in result.stdout
    assert "Groups with a model" in Path("out/bundle-report.html").read_text(encoding="utf-8")


def test_train_leaves_out_children_that_are_no_better_than_their_parent(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--unknown", "fallback", "--prune", "--json")

    summary = strict(result.stdout)["summary"]
    assert summary["groups_pruned"] + summary["groups_fitted"] == 7
    refused = run(*TRAIN, "--data", "sales.csv", "--prune")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert 'Use unknown="fallback".' in refused.stderr


# report


@pytest.mark.parametrize("form", ["alias", "model id", "run", "run id", "bundle"])
def test_report_is_the_page_of_the_run_whatever_names_the_model(
    trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    version = MlflowClient().get_model_version_by_alias("trained", "champion")
    forms = {
        "alias": trained,
        "model id": version.source,
        "run": f"runs:/{version.run_id}",
        "run id": version.run_id,
        "bundle": str(metamodel.load_model(trained).bundle.path),
    }
    result = run("report", forms[form], "--output", "page.html", "--json")

    page = Path("page.html").read_text(encoding="utf-8")
    assert strict(result.stdout) == {"output": "page.html", "bytes": len(page.encode())}
    assert page == mlflow.artifacts.load_text(f"runs:/{version.run_id}/report.html")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("0" * 32, "There is no run '0+' at "),
        ("models:/nobody@champion", "cannot be fetched"),
        ("nowhere", "There is no model at 'nowhere'"),
    ],
)
def test_report_says_in_one_line_what_cannot_be_shown(model: str, message: str, tmp_path: Path) -> None:
    result = run("report", model, "--output", str(tmp_path / "page.html"))

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert re.search(message, result.stderr)


def test_report_needs_a_run_with_a_model(tmp_path: Path) -> None:
    with mlflow.start_run() as empty:
        pass
    result = run("report", empty.info.run_id, "--output", str(tmp_path / "page.html"))

    assert result.exit_code == 2
    assert "logged no model" in result.stderr


class terminal:  # noqa: N801 - used as a function
    """A pseudo-terminal to write to, and what was written to it: progress bars show on terminals at once."""

    def __enter__(self) -> tuple[int, Callable[[], str]]:
        self._reader, self._writer = pty.openpty()
        termios.tcsetwinsize(self._writer, (24, 120))
        self._read: list[bytes] = []
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        return self._writer, lambda: b"".join(self._read).decode()

    def __exit__(self, *_: object) -> None:
        os.close(self._writer)
        self._thread.join(10)
        os.close(self._reader)

    def _collect(self) -> None:
        try:
            while part := os.read(self._reader, 4096):
                self._read.append(part)
        except OSError:  # how Linux says that the other end was closed
            pass


@pytest.mark.server
@pytest.mark.slow
def test_json_stays_json_where_mlflow_prints_links_to_a_server(folder: Path, tracking: Server) -> None:
    """MLflow writes two links for every run on a server to stdout."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": tracking.url}
    command = [sys.executable, "-m", "metamodel", *TRAIN, "--data", "sales.csv", "--json"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=120, check=False, text=True)

    assert done.returncode == 0, done.stderr
    assert "View run" in done.stderr
    assert strict(done.stdout)["summary"]["groups"] == 9


def test_train_logs_into_the_experiment_that_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mlflow.tracking.fluent._active_experiment_id
    monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", before)  # put back what --experiment changes
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")

    result = run(*TRAIN, "--data", "sales.csv", "--json", "--experiment", "shops")

    experiment = MlflowClient().get_experiment_by_name("shops")
    assert MlflowClient().get_run(strict(result.stdout)["run_id"]).info.experiment_id == experiment.experiment_id


def test_model_can_be_inspected_and_scored_whatever_the_output_directory_was_called(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--json", "--output-dir", "kept here", "--register", "elsewhere")
    uri = strict(result.stdout)["model_uri"]

    assert run("inspect", uri).exit_code == 0
    assert run("inspect", "kept here").exit_code == 0
    assert run("score", "--data", "sales.csv", "--model", "models:/elsewhere/1", "--output", "out.csv").exit_code == 0


# score


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
    assert result.stderr.startswith("error: 2 groups without a child model: (90001,")
    assert not Path("out.csv").exists()
    assert not list(folder.rglob(".*unfinished*"))


# inspect


def test_inspect_shows_the_model_and_its_worst_groups(trained: str) -> None:
    result = run("inspect", trained, "--worst", "2")

    assert result.exit_code == 0
    assert "store (integer), product (string)" in result.stdout
    assert "worst_groups\n" in result.stdout
    assert "min_rows: 1 usable row, 2 needed" in result.stdout


def test_inspect_json_holds_numbers_and_nulls(trained: str) -> None:
    overview = strict(run("inspect", trained, "--json", "--worst", "3").stdout)
    child = strict(run("inspect", trained, "--json", "--group", '[90003, "P001"]').stdout)

    assert overview["groups"] == {"fitted": 7, "skipped": 2}
    assert len(overview["worst_groups"]) == 3
    worst = [row["holdout_rmse"] for row in overview["worst_groups"]]
    assert worst == sorted(worst, reverse=True)
    assert child["ledger"]["store"] == 90003
    assert child["ledger"]["rows"] == 30
    assert child["ledger"]["reason"] == "constant_target"
    assert child["ledger"]["holdout_r2"] is None  # a constant target has no R²
    assert child["child"] == "Ridge(random_state=0)"


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ('[7, "P001"]', r"No child model for group \(7, 'P001'\) \(7 known\)\. Train it"),
        ("[1]", r"The key \(1,\) has 1 value, but there are 2 group columns \(store, product\)"),
        ('["1", "P001"]', r"Group column 'store' holds integers; the str '1' is none\."),
    ],
)
def test_inspect_says_why_there_is_no_such_child(trained: str, group: str, message: str) -> None:
    result = run("inspect", trained, "--group", group)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.match(f"error: .*{message}", result.stderr)


@pytest.fixture
def bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(trained_bundle, tmp_path / "bundle"))


def test_inspect_verify_finds_a_sound_bundle_sound(bundle: Path) -> None:
    result = run("inspect", str(bundle), "--verify", "--json")

    assert result.exit_code == 0
    assert strict(result.stdout)["damaged_files"] == []


@pytest.mark.parametrize("name", ["shards/00000.sqlite", "ledger.parquet"])
def test_inspect_verify_names_a_damaged_file(bundle: Path, name: str) -> None:
    damaged = bundle / name
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)

    result = run("inspect", str(bundle), "--verify")

    assert result.exit_code == 1
    assert re.fullmatch(rf"error: .*{re.escape(name)}.* Restore the bundle\.\n", result.stderr)


def test_inspect_verify_names_a_missing_file(bundle: Path) -> None:
    (bundle / "shards" / "00000.sqlite").unlink()

    result = run("inspect", str(bundle), "--verify")

    assert result.exit_code == 1
    assert "shards/00000.sqlite" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


# export


def test_exported_child_is_an_ordinary_model_that_predicts_the_same(
    folder: Path, sales: pd.DataFrame, trained: str
) -> None:
    result = run("export", trained, "--group", '[2, "P001"]', "--output", "child")

    assert result.exit_code == 0
    rows = sales[(sales["store"] == 2) & (sales["product"] == "P001")]
    child = mlflow.sklearn.load_model("child")
    assert type(child) is Ridge
    np.testing.assert_allclose(child.predict(rows[FEATURES]), by_hand(sales)[rows.index], rtol=1e-9)
    as_pyfunc = mlflow.pyfunc.load_model("child").predict(rows[FEATURES].astype(float))
    np.testing.assert_allclose(as_pyfunc, by_hand(sales)[rows.index], rtol=1e-9)


def test_export_leaves_an_existing_directory_alone(folder: Path, trained: str) -> None:
    Path("child").mkdir()

    result = run("export", trained, "--group", '[2, "P001"]', "--output", "child")

    assert result.exit_code == 2
    assert result.stderr == "error: child exists already. Name a directory that does not.\n"
    assert list(Path("child").iterdir()) == []


# bad input


@pytest.fixture
def store() -> Iterator[MlflowClient]:
    """The tracking store; afterwards no run is left RUNNING, and nothing was registered or logged as a model."""
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    before = {run.info.run_id for run in client.search_runs(experiments)}
    registered = versions(client)
    yield client
    new = [run for run in client.search_runs(experiments) if run.info.run_id not in before]
    assert {run.info.status for run in new} <= {"FAILED"}
    assert [model for run in new for model in run.outputs.model_outputs] == []
    assert versions(client) == registered


def versions(client: MlflowClient) -> dict[str, int]:
    return {
        model.name: len(client.search_model_versions(f"name='{model.name}'"))
        for model in client.search_registered_models()
    }


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


BAD_TRAINING = {
    "missing group column": (["--group-by", "shop"], r"The table lacks group column 'shop' \(it has 10: country,"),
    "missing target": (["--target", "sold"], "The table lacks target column 'sold'"),
    "missing feature": (["--features", "price,weather"], "The table lacks feature column 'weather'"),
    "missing time column": (["--time-column", "day"], "The table lacks time column 'day'"),
    "missing file": (["--data", "not/here.csv"], "There is no file or folder 'not/here.csv'. Check the path"),
    "empty csv": (["--data", "empty.csv"], "'empty.csv' cannot be read: No columns to parse from file. Check"),
    "empty parquet": (
        ["--data", "empty.parquet"],
        "'empty.parquet' cannot be read: .* Check that the file is complete",
    ),
    "only a header": (["--data", "header.csv"], "The table has no rows. Give a table with"),
    "empty folder": (["--data", "nothing"], "The folder 'nothing' holds no Parquet file. Check"),
    "binary csv": (["--data", "binary.csv"], f"'binary.csv' cannot be read: {NO_TEXT} .* Check"),
    "cut parquet": (["--data", "cut.parquet"], "'cut.parquet' cannot be read: .* Check"),
    "ragged csv": (
        ["--data", "ragged.csv"],
        "'ragged.csv' cannot be read: .*Expected 6 fields in line 3, saw 8. Check",
    ),
    "foreign file": (["--data", "sales.xlsx"], "'sales.xlsx' is no table that can be read. Use"),
    "column twice in csv": (["--data", "twice.csv"], "'twice.csv' has more than one column named 'price'. Rename"),
    "column twice in parquet": (
        ["--data", "twice.parquet"],
        "'twice.parquet' has more than one column named 'price'. R",
    ),
    "null key": (["--data", "null_key.csv"], r"1 row of 3 belongs to no group \(first: row 2\). .*null_keys=\"drop\""),
    "fractions as keys": (
        ["--data", "fraction_key.csv"],
        "'store' holds numbers that are no whole numbers, such as 1.5",
    ),
    "text target": (["--data", "text_target.csv"], r"'units' is not numeric \(first text: 'many'\), but .* regressor"),
    "null target": (["--data", "no_target.csv"], "The target 'units' is null in every row. Name a column"),
    "text feature for a path": (
        ["--features", "country", "--estimator", "sklearn.linear_model.Ridge"],
        "None of 9 groups could be fitted.*could not convert string to float.*Correct the table or the estimator",
    ),
    "all groups fail": (
        ["--data", "infinite.csv"],
        "None of 1 group could be fitted.*Input X contains infinity.*Correct",
    ),
    "all groups too small": (
        ["--min-rows", "999"],
        "None of 9 groups could be fitted.*30 usable rows, 999 needed.*Corr",
    ),
    "unknown estimator": (
        ["--estimator", "rigde"],
        "There is no estimator named 'rigde'. Known names: .*ridge.*Or give",
    ),
    "unknown class": (["--estimator", "sklearn.linear_model.Rigde"], "'sklearn.linear_model.Rigde' cannot be imported"),
    "no class": (["--estimator", "os.path.join"], "'os.path.join' is a function, not a class"),
    "no estimator": (["--estimator", "collections.Counter"], "has no method 'fit', so it is no estimator"),
    "unknown parameter": (["--estimator-params", '{"alhpa": 1}'], "Ridge .* unexpected keyword argument 'alhpa'"),
    "holdout": (["--holdout", "2"], "holdout=2.0 is no share of the rows. Use a number from 0"),
    "codec": (["--codec", "zip"], "codec='zip' is unknown. Use one of: cloudpickle, joblib, skops"),
    "engine": (["--engine", "dask"], "engine='dask' is unknown. Use one of: local"),
    "policy": (["--unknown", "guess"], "unknown='guess' is unknown. Use one of: null, error, fallback"),
    "probabilities of a regressor": (["--predict-method", "predict_proba"], "predict_proba' needs a classifier, but"),
    "name": (["--register", "a/b"], "MLflow does not take the name 'a/b' for a model. Leave"),
    "alias": (["--alias", "v1"], "MLflow does not take the alias 'v1'. Use letters"),
    "alias of nothing": (
        ["--register", ""],
        r"An alias needs a registered model. Give registered_model_name \(--register NAME\) too",
    ),
    "metric": (["--metric", "mape"], "metric='mape' is unknown for regression. Use one of: mae, rmse, r2"),
    "split": (["--split", "weekly"], 'split=\'weekly\' is unknown. Use "holdout", "kfold:5", or'),
    "parameter of a space": (
        ["--tune", "space.yaml"],
        "'ridge' names 'alhpa', which is no parameter of Ridge. Did you",
    ),
    "space of nobody": (["--tune", "other_space.yaml"], "names 'rigde', which is no candidate. Candidates: 'ridge'"),
    "no space": (["--tune", "spaces"], "tune='spaces' is neither 'auto' nor a .yaml, .yml or .json file. Give one of"),
    "text as time": (
        ["--data", "days.csv", "--time-column", "soon"],
        r"Time column 'soon' has 1 value missing or no time \(first: 'soon'\). Correct or remove",
    ),
    "null as time": (
        ["--data", "days.csv", "--time-column", "gap"],
        r"Time column 'gap' has 1 value missing or no time \(first: nan\). Correct or remove",
    ),
    "override of nobody": (
        ["--overrides", "exceptions.csv"],
        r"an override for group \(77, 'P001'\), but the table has no such group \(9 known\). Correct its key",
    ),
    "negative weight": (
        ["--data", "weights.csv", "--sample-weight", "w"],
        r"Weight column 'w' has 1 value missing, infinite or below 0 \(first: -0.5\). Correct or remove",
    ),
    "warm start from nothing": (["--warm-start", "true"], "warm_start=True goes on from an earlier version, but there"),
    "output directory": (["--output-dir", "sales.csv"], "sales.csv exists and is no bundle. Name another output"),
    "output nowhere": (
        ["--output-dir", "/proc/no/where"],
        "'/proc/no' cannot be used: No such file or directory. Check",
    ),
}


@pytest.mark.parametrize("case", BAD_TRAINING)
@pytest.mark.usefixtures("bad_files")
def test_bad_input_to_train_is_one_line_and_leaves_nothing(store: MlflowClient, case: str) -> None:
    changed, message = BAD_TRAINING[case]

    result = run(*TRAIN, "--data", "sales.csv", "--register", "never", "--alias", "champion", *changed)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(f"error: .*{message}.*\n", result.stderr)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--estimator-params", "{alpha: 1}", r"'\{alpha: 1\}' is no JSON"),
        ("--estimator-params", "[1]", r"'\[1\]' is no JSON object"),
        ("--min-rows", "2.5", "'2.5' is no whole number"),
        ("--min-rows", "nan", "'nan' is no whole number"),
        ("--n-jobs", "inf", "'inf' is no whole number"),
        ("--holdout", "some", "'some' is no number"),
    ],
)
def test_option_of_the_wrong_kind_is_a_usage_error(folder: Path, option: str, value: str, message: str) -> None:
    result = run(*TRAIN, "--data", "sales.csv", option, value)

    assert result.exit_code == 2
    told = f"error: Invalid value for '{option}': {message}.* `main train --help` says what there is.\n"
    assert re.fullmatch(told, result.stderr)


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


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    mlflow.sklearn.save_model(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), "plain", pip_requirements=["scikit-learn"])

    result = run("inspect", "plain")

    assert result.exit_code == 1
    assert result.stderr.endswith(
        "error: plain is an MLflow model, but not one that metamodel logged. Load it with MLflow.\n"
    )


@pytest.mark.slow
@pytest.mark.tableless
def test_a_bad_file_ends_the_process_with_code_2_and_no_traceback(folder: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "metamodel", *TRAIN, "--data", "nowhere.csv"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=120, check=False, text=True)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: There is no file or folder 'nowhere.csv'.")


@pytest.mark.parametrize("command", ["train", "score", "inspect", "export"])
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")

    assert result.exit_code == 0
    assert "--json" in result.stdout


# help


def test_help_of_train_has_every_option_once() -> None:
    text = run("train", "--help").stdout
    listed = re.findall(r"^  (?:-h, )?(--[a-z-]+)", text, re.MULTILINE)
    command = main.commands["train"]
    expected = [option.opts[-1] for option in command.params if not option.hidden]  # type: ignore[attr-defined]

    assert sorted(listed) == sorted([*expected, "--help"])
    assert text.index("Table and model:") < text.index("Judging:") < text.index("Other:")


def test_commands_are_listed_in_the_order_of_use() -> None:
    names = re.findall(r"^  ([a-z-]+)  ", run("--help").stdout.partition("Commands:")[2], re.MULTILINE)

    assert names[:3] == ["train", "score", "serve"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], r"No such command 'trian'. Did you mean 'train'\? `metamodel --help` says what there is."),
        (["train"], "Missing option '--data'. `metamodel train --help` says what there is."),
        (
            ["score", "--modle", "m"],
            "No such option '--modle'. Did you mean .*`metamodel score --help` says what there",
        ),
    ],
)
def test_a_wrong_call_is_one_line(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments, prog_name="metamodel")

    assert result.exit_code == 2
    assert re.fullmatch(f"error: {message}.*\n", result.stderr)


@pytest.mark.parametrize("option", [["--warm-start"], ["--warm-start", "true"]])
def test_a_switch_is_a_word_or_has_a_value(option: list[str]) -> None:
    result = run(*TRAIN, "--data", "sales", *option)

    assert result.exit_code == 2
    assert "warm_start" in result.stderr
    assert "previous" in result.stderr
