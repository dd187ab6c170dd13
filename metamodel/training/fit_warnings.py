"""What estimators warned of while children were fitted, counted by kind: nobody reads 50,000 ledger rows."""

import re
from collections import Counter

import pandas as pd

from metamodel.bundle.ledger_queries import keys_of, rows_of_groups
from metamodel.common.messages import count, short
from metamodel.tables.checks import Finding
from metamodel.tables.keys import KeySchema

__all__ = ["warned_groups", "warning_findings"]

# As `metamodel.fitting.fit` writes them into the ledger: kind and text, several behind one another.
_KIND = re.compile(r"(?:^|; )(\w*Warning): ")

_REMEDIES = {
    "ConvergenceWarning": "Scale the features, allow more iterations (max_iter), or choose another estimator.",
}


def warned_groups(children: pd.DataFrame) -> dict[str, int]:
    """Count the groups with a warning, all and by kind.

    Parameters
    ----------
    children
        Rows of the ledger.

    Examples
    --------
    >>> warned_groups(pd.DataFrame({"warnings": ["ConvergenceWarning: at 100", "", "ConvergenceWarning: at 7"]}))
    {'groups_warned': 2, 'groups_warned_ConvergenceWarning': 2}
    """
    warned = [text for text in children["warnings"].tolist() if text]
    numbers = Counter(kind for text in warned for kind in set(_KIND.findall(text)))
    return {"groups_warned": len(warned), **{f"groups_warned_{kind}": numbers[kind] for kind in sorted(numbers)}}


def warning_findings(ledger: pd.DataFrame, keys: KeySchema) -> list[Finding]:
    """Say of each kind of warning how many groups have it, and what it says in the first of them.

    Parameters
    ----------
    ledger
        Of all groups; parents are left out.
    keys
        The group columns.
    """
    children = rows_of_groups(ledger, len(keys.columns))
    found = []
    for name, number in warned_groups(children).items():
        kind = name.removeprefix("groups_warned_")
        if kind == name:
            continue
        first = children[children["warnings"].str.contains(rf"(?:^|; ){kind}: ")].iloc[:1]
        said = first["warnings"].iloc[0].partition(f"{kind}: ")[2].partition("; ")[0]
        text = f"{number:,} of {count(len(children), 'group')} were fitted with a {kind} (first: "
        text += f"{short(keys_of(first, keys)[0])}: {said.rstrip('.')}). "
        text += _REMEDIES.get(kind, "See the ledger's column warnings.")
        found.append(Finding("warnings", (), text))
    return found
