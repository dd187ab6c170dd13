"""A training under the caller's global settings of scikit-learn: in workers, and in a process that loads the model."""

import json

import forked_programs
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import metamodel

# Behind a scaler, columns have names only where scikit-learn hands frames on.
BY_NAME = make_pipeline(
    StandardScaler(),
    ColumnTransformer([("first", "passthrough", ["price"]), ("second", "passthrough", ["size"])]),
    Ridge(),
)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"shop": np.repeat(["a", "b"], 60), "price": rng.normal(size=120), "size": rng.normal(size=120)}
    )
    return frame.assign(units=frame["price"] - 3 * frame["size"])


def by_hand(table):
    """What scikit-learn alone answers, group by group."""
    features = ["price", "size"]
    groups = [part for _, part in table.groupby("shop")]
    return np.concatenate([BY_NAME.fit(part[features], part["units"]).predict(part[features]) for part in groups])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_process_fits_and_judges_under_them(table, n_jobs):
    with sklearn.config_context(transform_output="pandas"):
        result = metamodel.train(table, "shop", "units", BY_NAME, n_jobs=n_jobs)
    assert result.ledger["status"].tolist() == ["fitted", "fitted"]
    assert (result.ledger["holdout_r2"] > 0.9).all()


def test_a_process_without_them_answers_as_the_one_that_trained(table, tmp_path):
    with sklearn.config_context(transform_output="pandas"):
        result = metamodel.train(table, "shop", "units", BY_NAME, n_jobs=1, output_dir=tmp_path / "bundle")
        expected = by_hand(table)
    table.to_parquet(tmp_path / "rows.parquet")
    program = (
        "import json, sys, pandas as pd, metamodel\n"
        "rows = pd.read_parquet(sys.argv[2])\n"
        "answers = metamodel.load_model(sys.argv[1]).predict(rows)\n"
        "print(json.dumps([answers['status'].unique().tolist(), answers['prediction'].tolist()]))"
    )
    done = forked_programs.run("-c", program, str(result.bundle_path), str(tmp_path / "rows.parquet"))
    assert done.returncode == 0, done.stderr
    statuses, predictions = json.loads(done.stdout)
    assert statuses == ["child"]
    assert predictions == pytest.approx(expected.tolist(), abs=1e-9)


def test_other_settings_are_another_training(table):
    plain = metamodel.train(table, "shop", "units", Ridge(), n_jobs=1)
    with sklearn.config_context(transform_output="pandas"):
        under_settings = metamodel.train(table, "shop", "units", Ridge(), n_jobs=1)
    assert plain.manifest.spec_digest != under_settings.manifest.spec_digest
