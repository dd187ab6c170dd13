"""Who answers each group of a model, and each that it does not know."""

import numpy as np
from monitored import alike, with_pruned

import metamodel
from metamodel.bundle.monitored.group_answerers import GroupAnswerers


def test_groups_are_answered_by_their_child_else_by_the_nearest_parent_that_has_a_model() -> None:
    model = metamodel.MetaModel(with_pruned().bundle_path)
    fitted = model.ledger[(model.ledger["level"] == 2) & (model.ledger["status"] == "fitted")]
    keys = [f'["{country}",{shop}]' for country, shop in zip(fitted["country"], fitted["shop"], strict=True)]

    answerers = GroupAnswerers.of(model)

    assert len(answerers.known) == 12
    assert {key for key, who in answerers.known.items() if who == "child"} == set(keys)
    assert set(answerers.known.values()) == {"child", "parent:1"}
    assert answerers.of_groups(['["DE",99]', '["XX",1]', keys[0]]) == ["parent:1", "global", "child"]


def test_without_fallback_nobody_answers_a_group_without_a_child() -> None:
    table = alike(2, 7)
    table = table[(table["shop"] != 5) | (np.arange(len(table)) % 60 < 2)]
    trained = metamodel.train(
        table, ["country", "shop"], "sales", "ridge", features=["price", "stock"], min_rows=10, n_jobs=1
    )

    answerers = GroupAnswerers.of(metamodel.MetaModel(trained.bundle_path))

    assert answerers.of_groups(['["IT",5]', '["DE",0]', '["XX",1]']) == ["nobody", "child", "nobody"]
