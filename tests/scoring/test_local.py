"""Batch scoring: the caller's rows with predictions beside them, from a frame or a file, at once or in parts."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rolled_out import panel as rolled_out_panel
from rolled_out import trained, visitors
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import metamodel
from metamodel.exceptions import InputError, MissingColumns, UnknownGroup
from metamodel.scoring import score_file
from metamodel.scoring.local import score_to_file
from metamodel.tables.files import read_table


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    """Groups whose names are traps in a CSV file: "007" is no number there, and "NA" is Namibia."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"shop": np.repeat(["007", "7", "NA", "null"], 25), "x": rng.normal(size=100).round(6)})
    slope = frame["shop"].map({"007": 1.0, "7": -2.0, "NA": 3.0, "null": -4.0})
    return frame.assign(y=slope * frame["x"] + 10)


@pytest.fixture(scope="module")
def model(panel: pd.DataFrame) -> metamodel.MetaModel:
    result = metamodel.train(panel, "shop", "y", Ridge(alpha=1e-9), holdout=0, n_jobs=1)
    return metamodel.MetaModel(result.bundle_path)


def test_score_adds_prediction_and_status_behind_the_callers_columns(panel: pd.DataFrame, model: metamodel.MetaModel):
    before = panel.copy()

    scored = metamodel.score(panel, model)

    assert list(scored.columns) == ["shop", "x", "y", "prediction", "status"]
    np.testing.assert_allclose(scored["prediction"], panel["y"], rtol=1e-6)
    pd.testing.assert_frame_equal(panel, before)


def test_score_takes_a_model_a_uri_or_a_path(panel: pd.DataFrame, model: metamodel.MetaModel):
    info = metamodel.log_model(
        metamodel.train(panel, "shop", "y", Ridge(alpha=1e-9), holdout=0, n_jobs=1), report=False
    )
    expected = metamodel.score(panel, model)

    for given in (info.model_uri, str(model.bundle.path), model.bundle.path):
        pd.testing.assert_frame_equal(metamodel.score(panel, given), expected)


def test_score_keeps_rows_order_and_a_duplicate_index(panel: pd.DataFrame, model: metamodel.MetaModel):
    shuffled = panel.sample(frac=1, random_state=1)
    doubled = pd.concat([shuffled, shuffled])

    scored = metamodel.score(doubled, model)

    assert scored.index.tolist() == doubled.index.tolist()
    assert scored["x"].tolist() == doubled["x"].tolist()
    np.testing.assert_allclose(scored["prediction"], doubled["y"], rtol=1e-6)


def test_score_of_an_empty_frame_has_the_columns_and_no_rows(panel: pd.DataFrame, model: metamodel.MetaModel):
    scored = metamodel.score(panel.head(0), model)

    assert list(scored.columns) == ["shop", "x", "y", "prediction", "status"]
    assert len(scored) == 0
    assert scored["prediction"].dtype == np.float64


def test_params_reach_the_model(panel: pd.DataFrame, model: metamodel.MetaModel):
    unknown = panel.head(2).assign(shop=["7", "elsewhere"])

    assert "child_version" in metamodel.score(unknown, model, params={"detail": True})
    with pytest.raises(UnknownGroup, match="1 group without a child model"):
        metamodel.score(unknown, model, params={"unknown": "error"})


@pytest.mark.parametrize("name", ["prediction", "status"])
def test_table_with_a_column_of_the_same_name_is_refused(panel: pd.DataFrame, model: metamodel.MetaModel, name: str):
    with pytest.raises(
        InputError, match=f"already has the column '{name}', which scoring adds. Give the added columns a"
    ):
        metamodel.score(panel.assign(**{name: 1}), model)


def test_missing_feature_is_named(panel: pd.DataFrame, model: metamodel.MetaModel):
    with pytest.raises(MissingColumns, match="The table lacks feature column 'x'"):
        metamodel.score(panel.drop(columns="x"), model)


def test_text_where_a_number_belongs_is_refused_before_any_row_is_scored(
    panel: pd.DataFrame, model: metamodel.MetaModel
):
    with pytest.raises(InputError, match="Feature column 'x' holds strings, but the model was trained on float64"):
        metamodel.score(panel.assign(x="cold"), model)


def test_what_is_no_table_and_what_is_no_model_are_refused(panel: pd.DataFrame, model: metamodel.MetaModel):
    with pytest.raises(
        InputError, match=r"data is a NoneType\. Give a DataFrame \(of pandas, polars, Arrow \.\.\.\), a path, or the"
    ):
        metamodel.score(None, model)
    with pytest.raises(
        InputError, match=r"data is a int\. Give a DataFrame \(of pandas, polars, Arrow \.\.\.\), a path, or the"
    ):
        score_to_file(3, model, "scored.csv")
    with pytest.raises(InputError, match=r"3 \(int\) is no model\. Give the path or URI of one\."):
        metamodel.score(panel, 3)


def test_unknown_engine_is_refused(panel: pd.DataFrame, model: metamodel.MetaModel):
    with pytest.raises(InputError, match="engine='abacus' is unknown"):
        metamodel.score(panel, model, engine="abacus")


@pytest.mark.parametrize("name", ["panel.csv", "panel.csv.gz", "panel.tsv", "panel.parquet"])
def test_file_is_scored_as_its_table(panel: pd.DataFrame, model: metamodel.MetaModel, tmp_path: Path, name: str):
    path = tmp_path / name
    if name.endswith("parquet"):
        panel.to_parquet(path)
    else:
        panel.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")

    scored = metamodel.score(path, model)

    assert scored["shop"].tolist() == panel["shop"].tolist()
    assert set(scored["status"]) == {"child"}
    np.testing.assert_allclose(scored["prediction"], panel["y"], rtol=1e-6)


def test_training_on_a_csv_file_keeps_007_and_7_apart_even_where_every_key_is_digits(tmp_path: Path):
    path = tmp_path / "digits.csv"
    path.write_text("shop,x,y\n" + "".join(f"007,{x},{x}\n7,{x},{-x}\n" for x in range(1, 20)))

    result = metamodel.train(path, "shop", "y", Ridge(alpha=1e-9), holdout=0, n_jobs=1)

    assert result.ledger["shop"].tolist() == ["007", "7"]
    scored = metamodel.score(path, result.bundle_path)
    np.testing.assert_allclose(scored["prediction"], scored["y"], atol=1e-6)


def test_text_features_that_look_like_numbers_stay_text_in_a_csv_file(tmp_path: Path):
    rows = [(shop, zone, 10 * (zone == "01")) for shop in "ab" for zone in ("01", "02") for _ in range(5)]
    frame = pd.DataFrame(rows, columns=["shop", "zone", "y"])
    result = metamodel.train(frame, "shop", "y", "decision_tree", holdout=0, n_jobs=1)
    frame.to_csv(tmp_path / "zones.csv", index=False)

    scored = metamodel.score(tmp_path / "zones.csv", result.bundle_path)

    assert scored["prediction"].tolist() == frame["y"].tolist()


@pytest.fixture(scope="module")
def stores() -> pd.DataFrame:
    """Integer and boolean keys, a numeric and a boolean feature."""
    frame = pd.DataFrame({"store": np.repeat([1, 2], 40), "open": np.tile([True, False], 40)})
    frame["x"] = np.linspace(-1, 1, 80).round(6)
    frame["promo"] = np.tile([True, True, False, False], 20)
    return frame.assign(y=frame["store"] * frame["x"] + frame["promo"])


@pytest.fixture(scope="module")
def stores_model(stores: pd.DataFrame) -> metamodel.MetaModel:
    result = metamodel.train(stores, ["store", "open"], "y", Ridge(alpha=1e-9), holdout=0, n_jobs=1)
    return metamodel.MetaModel(result.bundle_path)


@pytest.mark.parametrize("output", [None, "out.parquet", "out.csv"])
@pytest.mark.parametrize(
    ("column", "bad", "status"),
    [
        ("store", "north", "invalid_key"),
        ("open", "maybe", "invalid_key"),
        ("x", "oops", "failed"),
        ("promo", "perhaps", "failed"),
    ],
)
def test_one_bad_field_of_a_csv_file_spoils_its_own_row_alone(
    stores: pd.DataFrame,
    stores_model: metamodel.MetaModel,
    tmp_path: Path,
    column: str,
    bad: str,
    status: str,
    output: str | None,
):
    spoiled = stores.astype({column: object})
    spoiled.loc[5, column] = bad
    spoiled.to_csv(tmp_path / "spoiled.csv", index=False)

    if output is None:
        scored = metamodel.score(tmp_path / "spoiled.csv", stores_model)
    else:
        score_to_file(tmp_path / "spoiled.csv", stores_model, tmp_path / output)
        scored = read_table(tmp_path / output)

    assert scored["status"].tolist() == ["child"] * 5 + [status] + ["child"] * 74
    good = np.arange(80) != 5
    np.testing.assert_allclose(scored.loc[good, "prediction"], stores.loc[good, "y"], atol=1e-6)
    assert scored[column].astype(str).tolist() == spoiled[column].astype(str).tolist()


def test_a_bad_number_alone_in_the_last_part_of_a_csv_file_spoils_its_own_row_alone(
    stores: pd.DataFrame, stores_model: metamodel.MetaModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("metamodel.tables.files.read_batches.__defaults__", ((), (), 79))
    spoiled = stores.astype({"x": object})
    spoiled.loc[79, "x"] = "oops"
    spoiled.to_csv(tmp_path / "spoiled.csv", index=False)

    summary = score_to_file(tmp_path / "spoiled.csv", stores_model, tmp_path / "out.csv")

    assert summary.statuses == {"child": 79, "failed": 1}


@pytest.fixture(scope="module")
def big_csv(panel: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More rows than one part holds, in which the second part alone tells what some columns are."""
    rows = 200_500
    frame = panel.iloc[np.arange(rows) % len(panel)].reset_index(drop=True)
    late = np.arange(rows) >= 200_100
    frame["shop"] = frame["shop"].where(~late, "elsewhere")
    frame["note"] = np.where(late, "late", np.arange(rows).astype(str))  # numbers, then text
    frame["amount"] = np.where(late, 0.5, 1)  # whole numbers, then fractions
    frame["remark"] = np.where(late, "at last", None)  # nothing, then text
    frame["flag"] = np.where(late, "", "true")  # booleans, then nothing
    path = tmp_path_factory.mktemp("big") / "big.csv"
    frame.astype({"amount": object}).assign(amount=np.where(late, "0.5", "1")).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("output", ["out.parquet", "out.csv"])
def test_large_file_in_parts_gives_the_same_as_at_once(
    big_csv: Path, model: metamodel.MetaModel, tmp_path: Path, output: str
):
    at_once = metamodel.score(read_table(big_csv, ["shop"], ["shop"]), model)

    summary = score_to_file(big_csv, model, tmp_path / output)

    written = read_table(tmp_path / output, ["shop"], ["shop"])
    assert summary.statuses == dict(Counter(at_once["status"])) == {"child": 200_100, "unknown_group": 400}
    assert list(written.columns) == list(at_once.columns)
    for name in ("shop", "x", "y", "status"):
        assert written[name].tolist() == at_once[name].tolist()
    for name in ("prediction", "amount"):
        np.testing.assert_array_equal(written[name].astype(float), at_once[name].astype(float))
    assert written["note"].astype(str).tolist() == at_once["note"].astype(str).tolist()
    assert written["remark"].dropna().tolist() == ["at last"] * 400


def test_scoring_a_large_file_into_a_frame_has_one_row_for_each(big_csv: Path, model: metamodel.MetaModel):
    scored = metamodel.score(str(big_csv), model)

    assert scored.index.equals(pd.RangeIndex(200_500))
    assert scored["prediction"].isna().sum() == 400


def test_output_appears_only_when_it_is_complete(big_csv: Path, model: metamodel.MetaModel, tmp_path: Path):
    output = tmp_path / "out.parquet"
    output.write_bytes(b"an older file")

    with pytest.raises(UnknownGroup, match="1 group without a child model"):  # in the second part
        score_to_file(big_csv, model, output, {"unknown": "error"})

    assert output.read_bytes() == b"an older file"
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_what_became_of_the_rows_is_told_with_the_commonest_reasons_first(
    panel: pd.DataFrame, model: metamodel.MetaModel, tmp_path: Path
):
    spoiled = panel.astype({"x": object})
    spoiled.loc[:2, "x"] = "oops"
    spoiled.loc[50, "shop"] = "elsewhere"
    spoiled.to_csv(tmp_path / "rows.csv", index=False)

    summary = score_to_file(tmp_path / "rows.csv", model, tmp_path / "out.csv")

    assert (summary.rows, summary.unanswered) == (100, 4)
    (first, text, rows), (second, _, one) = summary.commonest()
    assert (first, rows, second, one) == ("failed", 3, "unknown_group", 1)
    assert "'x'" in text
    assert "error" not in read_table(tmp_path / "out.csv").columns  # nobody asked for detail


def test_detail_that_is_asked_for_is_written(panel: pd.DataFrame, model: metamodel.MetaModel, tmp_path: Path):
    panel.to_parquet(tmp_path / "rows.parquet")

    score_to_file(tmp_path / "rows.parquet", model, tmp_path / "out.parquet", {"detail": True})

    assert read_table(tmp_path / "out.parquet").columns[-4:].tolist() == ["key", "level", "child_version", "error"]


def test_where_the_table_has_the_target_metrics_of_all_parts_together_are_those_of_scikit_learn(
    panel: pd.DataFrame, model: metamodel.MetaModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("metamodel.tables.files.read_batches.__defaults__", ((), (), 13))
    noisy = panel.assign(y=panel["y"] + np.random.default_rng(1).normal(size=len(panel)))
    noisy.loc[[3, 4], "y"] = np.nan
    noisy.to_csv(tmp_path / "rows.csv", index=False)

    summary = score_to_file(tmp_path / "rows.csv", model, tmp_path / "out.csv")

    written = read_table(tmp_path / "out.csv").dropna(subset="y")
    assert summary.judged_rows == 98
    assert summary.metrics["mae"] == pytest.approx(mean_absolute_error(written["y"], written["prediction"]))
    assert summary.metrics["r2"] == pytest.approx(r2_score(written["y"], written["prediction"]))
    assert summary.metrics["rmse"] == pytest.approx(
        root_mean_squared_error(written["y"], written["prediction"]), abs=1e-12
    )


def test_without_the_target_there_are_no_metrics(panel: pd.DataFrame, model: metamodel.MetaModel, tmp_path: Path):
    panel.drop(columns="y").to_parquet(tmp_path / "rows.parquet")

    assert score_to_file(tmp_path / "rows.parquet", model, tmp_path / "out.parquet").metrics == {}


@pytest.mark.parametrize("output", ["rows.parquet", "./rows.parquet", "folder/out.parquet", "link.parquet"])
def test_what_is_read_is_never_written_over(
    panel: pd.DataFrame, model: metamodel.MetaModel, tmp_path: Path, output: str
):
    panel.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "folder").mkdir()
    panel.to_parquet(tmp_path / "folder" / "part.parquet")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "rows.parquet")
    data = tmp_path / ("folder" if output.startswith("folder") else "rows.parquet")
    before = (tmp_path / "rows.parquet").read_bytes()

    with pytest.raises(InputError, match=r"is, or lies in, the table that is read\. Name another file"):
        score_to_file(data, model, tmp_path / output)

    assert (tmp_path / "rows.parquet").read_bytes() == before
    assert len(list((tmp_path / "folder").iterdir())) == 1


def test_a_prefix_tells_the_answers_from_columns_of_the_same_name(panel: pd.DataFrame, model: metamodel.MetaModel):
    taken = panel.assign(status="open", prediction=0.0)
    with pytest.raises(InputError, match=r"already has the column 'prediction', 'status'.* such as prefix=.model_"):
        metamodel.score(taken, model)

    scored = metamodel.score(taken, model, prefix="model_")

    assert scored["status"].eq("open").all()
    np.testing.assert_allclose(scored["model_prediction"], panel["y"], rtol=1e-6)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_batch_has_a_control_group_whose_rows_say_so(tmp_path: Path, ending: str) -> None:
    model, frame = trained(tmp_path / "model", rolled_out_panel(), unknown="fallback", pooled=False), visitors()
    asked: dict[str, Any] = {"explore": 0.3, "explore_entity": "customer"}
    scored = metamodel.score(frame, model, **asked)
    assert {"control", "treated"} == set(scored["variant"])
    assert set(scored.loc[scored["variant"] == "control", "status"]) == {"global"}
    source, output = tmp_path / f"rows.{ending}", tmp_path / "scored.parquet"
    frame.to_csv(source, index=False) if ending == "csv" else frame.to_parquet(source)
    score_file(source, model, str(output), **asked)
    assert read_table(output)["variant"].tolist() == scored["variant"].tolist()
    assert "variant" not in metamodel.score(frame, model)
