"""Levels encoded by the target: in small groups too, the same every time, and no row by its own target."""

import numpy as np
import pytest
from named_estimators import transformed, wide


@pytest.mark.parametrize("rows", [3, 400])
@pytest.mark.parametrize(("name", "task"), [("ridge", "regression"), ("logistic_regression", "classification")])
def test_very_many_levels_are_encoded_by_the_target_in_small_groups_too(name, task, rows):
    y = (np.arange(rows) % 2).astype(float if task == "regression" else int)
    built, matrix = transformed(name, wide(rows), {"town": 5000, "area": 2}, task, y)
    assert matrix.shape[1] <= 1 + 1 + 2
    assert np.isfinite(built.predict(wide(rows).assign(town="never seen"))).all()


def test_whole_numbers_as_a_target_are_no_classes_to_the_encoder():
    _, matrix = transformed("ridge", wide(), {"town": 5000, "area": 2}, y=np.arange(400) % 5.0)
    assert matrix.shape[1] == 1 + 2 + 1
