import numpy as np

from metamodel.evaluation.drift.drift_reference import TARGET
from metamodel.tables.feature_columns import Feature
from metamodel.tables.feature_table import FeatureTable
from metamodel.tables.features import FeatureSchema
from metamodel.training.monitored.row_reference import RowReference
from metamodel.training.training_table import TrainingTable


def test_rows_without_a_target_are_in_no_reference() -> None:
    x = np.arange(40.0).reshape(20, 2)
    y = np.where(np.arange(20) % 4 == 0, np.nan, np.arange(20.0))
    table = TrainingTable(FeatureTable(x, {}), y, np.arange(20, dtype=np.uint64), np.arange(20))
    schema = FeatureSchema((Feature("a", "number", "float64"), Feature("b", "number", "float64")), "array")

    reference = RowReference(schema, "regression").of(table, np.repeat([0, 1], 10), 2, np.ones(2, dtype=bool))

    assert reference.columns == ("a", "b", TARGET)
    assert reference.counts.sum(axis=2).tolist() == [[7, 7, 7], [8, 8, 8]]


def test_labels_are_categories() -> None:
    y = np.array(["yes", "no", None, "yes"], dtype=object)
    table = TrainingTable(FeatureTable(np.ones((4, 1)), {}), y, np.arange(4, dtype=np.uint64), None)
    schema = FeatureSchema((Feature("a", "number", "float64"),), "array")

    reference = RowReference(schema, "classification").of(table, np.zeros(4, dtype=int), 1, np.ones(1, dtype=bool))

    assert reference.kinds == ("number", "category")
    assert sorted((reference.vocabulary[TARGET] or {}).values()) == ["no", "yes"]
