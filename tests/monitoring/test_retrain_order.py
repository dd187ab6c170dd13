import pandas as pd
from monitored import statuses, weeks

import metamodel


def test_new_groups_are_listed_and_have_no_reference(model: metamodel.MetaModel, good: pd.DataFrame) -> None:
    result = metamodel.monitor(model, weeks(1, 3, shops=13), baseline=good)

    assert statuses(result).pop('["DE",12]') == "no reference"
    row = result.retrain.set_index("key").loc['["DE",12]']
    assert (row["reasons"], row["priority"]) == ("new", 1)
