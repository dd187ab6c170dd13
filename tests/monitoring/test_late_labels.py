from pathlib import Path

import pandas as pd
from monitored import SECOND, START, THIRD, changed, statuses

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference


def test_labels_that_come_late_update_their_own_window(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    tables = [changed(start, 33 + i) for i, start in enumerate([START, SECOND, THIRD])]
    labels = tables[0][["row_id", "sales"]].sample(frac=0.8, random_state=0)
    for table in tables[:2]:
        early = metamodel.monitor(model, table.drop(columns="sales"), baseline=reference, output=tmp_path)
        assert early.facts["labelled"] == 0
        assert (early.groups["status"] == "ok").all()

    late = metamodel.monitor(model, tables[2].drop(columns="sales"), labels, baseline=reference, output=tmp_path)

    assert late.facts["windows_relabelled"] == [START]
    assert statuses(late).pop('["DE",3]') == "performance"
    kept = pd.read_parquet(tmp_path / "windows" / START / "rows.parquet")
    assert set(kept) == {"row_id", "(prediction)", "(lower)", "(upper)", "(key)", "(variant)", "(label)"}
    at_once = metamodel.monitor(
        model, tables[0].merge(labels, on="row_id", how="left", suffixes=("_", "")), baseline=reference
    )
    assert at_once.facts["labelled"] == len(labels)
