"""A bundle that was written is opened as the result of the training that wrote it."""

import pandas as pd

import metamodel
from metamodel.datasets import make_store_sales
from metamodel.evaluation.metrics import metric_names
from metamodel.training.finished import result_of_bundle


def test_the_figures_of_an_update_are_those_of_all_its_children() -> None:
    table = make_store_sales(n_stores=2, n_products=2, n_weeks=30, broken=False)
    keys = ["store", "product"]
    first = metamodel.train(table, keys, "units", features=["price"], prune=False, pooled=False, n_jobs=1)
    listed = pd.DataFrame({"store": [1], "product": ["P001"]})
    updated = metamodel.update(first.bundle_path, table, retrain="listed", retrain_list=listed, challenge=False)
    assert updated.ledger["status"].value_counts().to_dict() == {"carried": 3, "fitted": 1}

    opened = result_of_bundle(updated.bundle_path)
    prefixes = tuple(f"{name}_" for name in metric_names("regression"))
    figures = {name: value for name, value in updated.summary.items() if name.startswith(prefixes)}
    assert len(figures) > 10
    assert {name: opened.summary[name] for name in figures} == figures
