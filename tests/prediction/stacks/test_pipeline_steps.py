"""Steps before trees: many children's imputers and scalers at once, to the last bit of what each does itself."""

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from metamodel.prediction.stacks.pipeline_steps import apply, step_arrays
from metamodel.prediction.stacks.step_reader import read_steps


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler],
        [MinMaxScaler],
        [SimpleImputer],
        [SimpleImputer, StandardScaler],
        [MinMaxScaler, StandardScaler],
    ],
)
def test_each_row_is_changed_as_its_own_childs_steps_change_it_to_the_last_bit(steps):
    of_children, expected, rng = [], [], np.random.default_rng(0)
    positions = rng.permutation(np.repeat(np.arange(4), 25))
    rows = rng.normal(5, 3, size=(100, 3))
    if steps[0] is SimpleImputer:
        rows[rng.random(rows.shape) < 0.2] = np.nan
    for child in range(4):
        fitted, x = [step() for step in steps], rng.normal(child, 1 + child, size=(30, 3))
        of_rows = rows[positions == child]
        for step in fitted:
            x, of_rows = step.fit_transform(x), step.transform(of_rows)
        of_children.append(read_steps(fitted))
        expected.append(of_rows)
    kinds = [step.kind for step in of_children[0]]
    changed = [apply(kinds, step_arrays(of_children), i, rows[:, i], positions) for i in range(3)]
    for child in range(4):
        np.testing.assert_array_equal(np.stack(changed, axis=1)[positions == child], expected[child], strict=True)
