"""Features that are the target within single groups are found; what is alike by chance is not."""

import numpy as np
import pandas as pd
import pytest
from checked_tables import clean, fit, shops


@pytest.mark.parametrize(("kind", "feature", "shop"), [("numbers", "revenue", 9), ("labels", "tag", 10)])
def test_a_feature_that_is_the_target_in_one_group_alone_is_found(kind: str, feature: str, shop: int) -> None:
    (found,) = fit(shops(kind)).findings
    assert (found.check, found.columns) == ("leakage", (feature,))
    assert found.message.startswith(
        f"Feature {feature!r} is the target or a linear copy of it within 1 group (({shop},)), where it tells what"
    )


def test_few_values_and_rare_labels_are_alike_by_chance() -> None:
    flags = pd.DataFrame({"shop": np.repeat(np.arange(5), 40), "flag": (np.arange(200) % 40 < 3).astype(float)})
    flags["x"] = np.random.default_rng(0).normal(size=200)
    sold = flags.assign(y=flags["flag"] * (1 + flags["shop"]))
    assert [one.check for one in fit(sold).findings] == []
    said = flags.assign(flag=np.where(flags["flag"] > 0, "yes", "no"))
    said["y"] = np.where(said["shop"] == 0, said["flag"], np.where(said["x"] > 0, "yes", "no"))
    assert [one.check for one in fit(said).findings] == []


def test_a_copy_in_the_whole_table_is_said_once() -> None:
    assert [one.columns for one in fit(clean().assign(same=lambda f: 2 * f["y"])).findings] == [("same",)]
