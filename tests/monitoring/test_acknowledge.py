from pathlib import Path

import pytest
from monitored import SECOND, START, THIRD, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.exceptions import InputError


def test_an_acknowledged_incident_is_told_anew_when_it_comes_back(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    opens = []
    for number, start in enumerate([START, SECOND, THIRD]):
        table = weeks(1, 70 + number, start=start)
        if start != SECOND:
            table["stock"] *= 1000
        opens.append(metamodel.monitor(model, table, baseline=reference, output=tmp_path).has_incident)
        if start == START:
            metamodel.acknowledge(tmp_path, "all", by="ann")
    assert opens == [True, False, True]


def test_only_incidents_that_there_are_can_be_acknowledged(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="holds no window"):
        metamodel.acknowledge(tmp_path, "all")
    metamodel.monitor(model, weeks(1, 3), baseline=reference, output=tmp_path)
    with pytest.raises(InputError, match="There is no incident 'abc' in 2026-03-02"):
        metamodel.acknowledge(tmp_path, "abc")
    with pytest.raises(InputError, match="baseline='previous' means something else already"):
        metamodel.acknowledge(tmp_path, baseline="previous")
