"""Count the equal rows of a Spark table by hashes, as `metamodel.tables.equal_rows` does on this machine.

One shuffle of a hash a row says how many there are. Only a table with copies is asked for the pairs that agree in all
columns but one: first for the target, which mostly explains them, and then for all other columns at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.tables.equal_rows import Agreement, EqualRows
from metamodel.tables.spark import column

__all__ = ["spark_equal_rows"]

_NESTED = ("array", "map", "struct", "variant")


def spark_equal_rows(
    frame: DataFrame, keys: Sequence[str], columns: Sequence[str], target: str, kinds: Mapping[str, str]
) -> EqualRows:
    """Count the exact copies in a Spark table, and judge them.

    Parameters
    ----------
    frame
        The rows that belong to a group and have a target.
    keys
        Group columns.
    columns
        Whose content makes two rows the same row, the target among them.
    target
        Name of the target.
    kinds
        Spark's word for the type of every column.
    """
    # A nested column is refused as a feature before anything is fitted.
    ordered = [name for name in (target, *columns) if not kinds[name].startswith(_NESTED)]
    hashes = {name: _salted(name, i, kinds[name]) for i, name in enumerate(dict.fromkeys(ordered))}
    content = reduce(lambda first, other: first.bitwiseXOR(other), hashes.values())
    rows, distinct, both = _counts(frame, keys, [content])[0]

    def agreements() -> Iterator[Agreement]:
        pairs = 0
        for names in ([target], [name for name in hashes if name != target]):
            mixed_hashes = [first for name in names for first in (content.bitwiseXOR(hashes[name]), hashes[name])]
            counted = _counts(frame, keys, mixed_hashes if pairs else [F.lit(0).cast("long"), *mixed_hashes])
            if not pairs:
                pairs, counted = counted[0][2], counted[1:]
            for i, name in enumerate(names):
                yield Agreement(name, both, counted[2 * i][2], counted[2 * i + 1][2], pairs)

    return EqualRows.judged(rows, distinct, both, agreements())


def _salted(name: str, position: int, kind: str) -> Column:
    value = column(name)
    if kind in ("float", "double"):  # in pandas both are null
        value = F.when(~F.isnan(value), value)
    return F.xxhash64(F.lit(position), value)


def _counts(frame: DataFrame, keys: Sequence[str], hashes: Sequence[Column]) -> list[tuple[int, int, int]]:
    """Of each hash: rows, distinct values within the groups, and pairs of rows of one group that share it."""
    which, value, rows = "__metamodel_which", "__metamodel_hash", "__metamodel_rows"
    grouping = [column(name) for name in keys]
    if len(hashes) == 1:  # what is asked first, and of most tables alone: each row stays one
        every = frame.select(*grouping, F.lit(0).alias(which), hashes[0].alias(value))
    else:
        marked = [F.struct(F.lit(i).alias(which), one.alias(value)) for i, one in enumerate(hashes)]
        every = frame.select(*grouping, F.inline(F.array(*marked)))
    counted = every.groupBy(*grouping, which, value)
    number = F.col(rows)
    pairs = F.sum((number * (number - 1) / 2).cast("long"))
    totals = counted.agg(F.count(F.lit(1)).alias(rows)).groupBy(which).agg(F.sum(number), F.count(F.lit(1)), pairs)
    found = {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in totals.collect()}
    return [found.get(i, (0, 0, 0)) for i in range(len(hashes))]
