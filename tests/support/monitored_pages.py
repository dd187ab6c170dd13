"""Tables of a monitored window, as many groups as one likes, without a model."""

from typing import Any

import numpy as np
import pandas as pd

from metamodel.report.monitoring_page import render_monitoring
from metamodel.tables.keys import GroupKey, encode_key

Changes = dict[GroupKey, dict[str, float]]


def tables(keys: list[GroupKey], changes: Changes) -> dict[str, pd.DataFrame]:
    """Say which columns changed in which groups; in all others nothing did."""
    names = ["price", "<b>stock</b>", "(absolute error)"]
    encoded = [encode_key(key) for key in keys]
    status = ["drift" if key in changes else "ok" for key in keys]
    cells = [(encode_key(key), name, "distribution", far) for key, of in changes.items() for name, far in of.items()]
    columns = pd.DataFrame({"column": names, "kind": "number", "rows": 9, "tested": len(keys), "left_out": False})
    counts = [sum(name in of for of in changes.values()) for name in names]
    return {
        "groups": pd.DataFrame(
            {
                **{"key": encoded, "status": status, "rows": 30, "p_drift": 0.5, "p_performance": np.nan},
                "answered_by": "child",
                "incident": "",
                "columns": ["; ".join(changes.get(key, {})) for key in keys],
            }
        ),
        "cells": pd.DataFrame(cells, columns=["key", "column", "what", "effect"]),
        "columns": columns.assign(changed=counts, share=0.1, p_value=0.5, effect=0.1),
        "incidents": pd.DataFrame(
            {
                **{"id": ["aa11", "bb22"], "kind": ["drift", "systemic"], "key": [encode_key(())] * 2},
                **{"groups": [1, 9], "words": ["<i>told</i>", "One feed broke."]},
                **{"blocks": [False, True], "acknowledged": [False, False]},
            }
        ),
        "retrain": pd.DataFrame(
            {
                **{"key": encoded[:1], "priority": 1, "reasons": "performance", "blocked": True},
                **{"blocked_by": "bb22", "windows_flagged": 2},
            }
        ),
    }


FACTS: dict[str, Any] = {
    **{"sentence": "1 of 2 changed & more.", "window": "2026-04-06", "model": "0123456789abcdef", "rows": 10},
    **{"labelled": 5, "fdr": 0.05, "min_effect": 0.1, "min_rows": 20, "notes": ["no label yet"]},
}


def page(keys: list[GroupKey], changes: Changes, **more: Any) -> str:
    return render_monitoring(tables(keys, changes), FACTS, **more)
