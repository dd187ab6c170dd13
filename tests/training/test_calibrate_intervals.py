"""Intervals of all models of a training, in its ledger and its summary."""

import numpy as np
import pandas as pd
import pytest
from blended import FRAME, fit
from held_out_rows import by_level, holdout

import metamodel
from metamodel.tables.keys import KeyColumn, KeySchema
from metamodel.training.calibrate_intervals import with_intervals


def test_nothing_held_out_gives_no_radius_and_the_ledger_says_so():
    schema = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer")))
    ledger = pd.DataFrame({"country": "FR", "store": [1, 2, None], "level": [2, 2, 1]})
    ledger["status"] = ["fitted", "failed", "fitted"]
    found, figures, summary = with_intervals(ledger, by_level(holdout({})), schema, 0.9)
    assert figures.index.tolist() == ['["FR",1]', '["FR"]']
    assert figures["radius"].isna().all()
    assert found["interval_rows"].tolist() == found["coverage_rows"].tolist() == [0, 0, 0]
    assert summary == {
        "groups_with_own_interval": 0,
        "groups_borrowing_interval": 0,
        "groups_without_interval": 1,
    }


def test_intervals_are_those_of_the_blended_predictions():
    result = fit(interval=0.8, unknown="fallback", random_state=1)
    model = metamodel.load_model(result.bundle_path)
    held = result.holdout.dropna(subset=["blended"])
    own = result.ledger[result.ledger["interval_level"] == 2].iloc[0]
    region, shop = own["region"], int(own["shop"])
    of_shop = held[held["key"] == f'["{region}",{shop}]']
    residuals = np.sort(np.abs(of_shop["actual"] - of_shop["blended"]).to_numpy())
    assert model.radius((region, shop)) == pytest.approx(residuals[int(np.ceil((len(residuals) + 1) * 0.8)) - 1])
    answers = model.predict(FRAME[FRAME["shop"] == shop])
    np.testing.assert_allclose(answers["upper"] - answers["prediction"], model.radius((region, shop)))
    plain = metamodel.load_model(fit(unknown="fallback", random_state=1).bundle_path).predict(FRAME)
    np.testing.assert_allclose(model.predict(FRAME)["prediction"], plain["prediction"])
    assert result.manifest.group_values["columns"] == ["weight_0", "weight_1", "weight_2", "radius"]
