"""Read tables as Spark DataFrames and write them: CSV, Parquet, Delta, and tables of the session's catalogue.

Only the DataFrame API is used, so that everything works on Spark Connect too.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pandas as pd
from pandas._libs.parsers import STR_NA_VALUES
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows
from pyspark.sql import types as T  # noqa: N812

from metamodel.datasets import SAMPLES, load_sample
from metamodel.exceptions import InputError
from metamodel.tables.dataframes import as_pandas
from metamodel.tables.delta import PREFIX as DELTA
from metamodel.tables.delta import DeltaName

__all__ = [
    "TYPE_EXAMPLES",
    "SparkTable",
    "column",
    "column_types",
    "example_of",
    "read_spark",
    "reason",
    "sample_frame",
    "session_of",
    "settings",
    "with_plain_names",
    "write_spark",
]

_CSV = (".csv", ".csv.gz", ".csv.bz2", ".tsv")

_DELTA_HELP = (
    "Spark has no Delta Lake here. Install delta-spark, and start the session with its jar: "
    "spark.jars.packages=io.delta:delta-spark_2.13:<version> "
    "and spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension."
)

_BOOLEANS = ("True", "TRUE", "true", "False", "FALSE", "false")

_INTEGER = r"^\s*[+-]?[0-9]{1,19}\s*$"

_FLOAT = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$|^[+-]?([iI]nf(inity)?|INF(INITY)?)$"

# Spark type → a value of it, and the pandas dtype of a column without nulls.
_TEXT = str(pd.Series(["a"]).dtype)

TYPE_EXAMPLES: dict[str, tuple[Any, str]] = {
    "boolean": (True, "bool"),
    "tinyint": (1, "int8"),
    "smallint": (1, "int16"),
    "int": (1, "int32"),
    "bigint": (1, "int64"),
    "float": (1.0, "float32"),
    "double": (1.0, "float64"),
    "string": ("a", _TEXT),
    "date": (dt.date(2000, 1, 1), "object"),
    "timestamp": (pd.Timestamp(2000, 1, 1, tz="UTC"), "datetime64[us, UTC]"),
    "timestamp_ntz": (pd.Timestamp(2000, 1, 1), "datetime64[us]"),
}


@dataclass(frozen=True)
class SparkTable:
    """A table that Spark can read.

    Parameters
    ----------
    frame
        The DataFrame; nothing of it has been read yet.
    source
        Where it came from.
    integers_with_nulls
        pandas dtype of an integer column with nulls, as this machine's engine reads it from the same source.
    """

    frame: DataFrame
    source: str
    integers_with_nulls: str = "Int64"


def session_of(data: object) -> SparkSession:
    """Return the DataFrame's session; else the active one, or the one that Spark's own settings start.

    Raises
    ------
    InputError
        There is no session, and none can be started.
    """
    if isinstance(data, DataFrame):
        return data.sparkSession
    try:
        return SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()
    except PySparkException as error:
        raise InputError(
            f"Spark cannot be started: {reason(error)} Install Java 17 or newer and set JAVA_HOME to it; or, for a "
            "cluster that runs already, set SPARK_REMOTE. What Java itself said stands above."
        ) from error


def column(name: str) -> Column:
    """Refer to a column whatever its name contains."""
    return F.col("`" + name.replace("`", "``") + "`")


def with_plain_names(frame: DataFrame) -> DataFrame:
    """Name columns by their places, for `mapInArrow`: it looks them up by names in which a dot means a field."""
    return frame.toDF(*(f"column_{i}" for i in range(len(frame.columns))))


@contextmanager
def settings(session: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Change settings of a session for a while."""
    before = {name: session.conf.get(name, None) for name in values}
    try:
        for name, value in values.items():
            session.conf.set(name, value)
        yield
    finally:
        for name, old in before.items():
            session.conf.unset(name) if old is None else session.conf.set(name, old)


def read_spark(data: Any, group_by: Sequence[str] = (), text_columns: Sequence[str] = ()) -> SparkTable:
    """Find a table.

    Parameters
    ----------
    data
        A Spark DataFrame; a DataFrame of pandas, polars ... or the name of a built-in sample, which are sent to the
        cluster; the path or URL of a CSV file, Parquet or Delta; or the name of a table.
    group_by
        Group columns. In a CSV file only an empty field is null there: the country code "NA" is Namibia.
    text_columns
        Columns of a CSV file to keep as text even where they look like numbers.

    Raises
    ------
    InputError
        There is no such table, or Spark cannot read it.
    """
    session = session_of(data)
    if isinstance(data, DataFrame):
        return SparkTable(data, "Spark DataFrame")
    table = as_pandas(data)
    if table is not None:
        return SparkTable(session.createDataFrame(table), "DataFrame", "float64")
    if isinstance(data, str) and data in SAMPLES:
        return SparkTable(session.createDataFrame(load_sample(data)), f"sample:{data}")
    if not isinstance(data, str | Path):
        raise InputError(
            f"data is a {type(data).__name__}. Give a DataFrame, a path, the name of a table, or of a sample."
        )
    try:
        return _read(session, str(data), group_by, text_columns)
    except PySparkException as error:
        raise InputError(f"{str(data)!r} cannot be read: {reason(error)}") from error


def _read(session: SparkSession, name: str, group_by: Sequence[str], text_columns: Sequence[str]) -> SparkTable:
    if not _is_path(name):
        if not session.catalog.tableExists(name):
            raise InputError(f"There is no file, folder, table or sample named {name!r}. Check the name.")
        return SparkTable(session.table(name), name)
    if urlparse(name).scheme == "" and not Path(name).exists():
        raise InputError(f"There is no file or folder {name!r}. Check the path (relative paths start at {Path.cwd()}).")
    if name.lower().endswith(_CSV):
        return SparkTable(_read_csv(session, name, group_by, text_columns), name, "float64")
    if name.startswith(DELTA) or _is_delta(session, name):
        return SparkTable(_read_delta(session, DeltaName.parse(name)), name)
    return SparkTable(session.read.parquet(_absolute(name)), name)


def _is_path(name: str) -> bool:
    ending = Path(name).suffix.lower() in (".csv", ".tsv", ".gz", ".bz2", ".parquet", ".pq")
    return "/" in name or ending or Path(name).exists()


def _absolute(name: str) -> str:
    """Keep URLs, and do not leave it to Spark's default file system what a local path means."""
    return name if urlparse(name).scheme else Path(name).absolute().as_uri()


def _is_delta(session: SparkSession, name: str) -> bool:
    if not urlparse(name).scheme:
        return (Path(name) / "_delta_log").is_dir()
    try:
        # Only Spark can list what lies in a remote store.
        return bool(session.read.text(f"{name.rstrip('/')}/_delta_log/*.json").head(1))
    except PySparkException:
        return False


def _read_delta(session: SparkSession, asked: DeltaName) -> DataFrame:
    at = {"versionAsOf": asked.version, "timestampAsOf": asked.time}
    reader = session.read.format("delta").options(**{name: value for name, value in at.items() if value is not None})
    frame: DataFrame = _with_delta(lambda: reader.load(_absolute(asked.path)))
    return frame


def _with_delta(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        # PySpark translates most of the JVM's errors, but not this one.
        if "DATA_SOURCE_NOT_FOUND" in str(error) or "delta.DefaultSource" in str(error):
            raise InputError(_DELTA_HELP) from error
        raise


def _read_csv(session: SparkSession, name: str, group_by: Sequence[str], texts: Sequence[str]) -> DataFrame:
    """Read a CSV file as pandas would: Spark's own inference takes other words for null and other texts for dates."""
    separator = "\t" if name.lower().endswith(".tsv") else ","
    raw = session.read.csv(
        _absolute(name), sep=separator, header=True, multiLine=True, escape='"', nullValue="", enforceSchema=False
    )
    null_words = sorted(STR_NA_VALUES)
    cells = {
        name: F.nullif(column(name), F.lit("")) if name in group_by else _nullified(name, null_words)
        for name in raw.columns
    }
    table = raw.select([cell.alias(name) for name, cell in cells.items()])
    kinds = _csv_kinds(table, group_by, texts)
    words = {name for name, kind in kinds.items() if isinstance(kind, T.StringType)}
    cells |= {name: F.nullif(column(name), F.lit("")) for name in words}  # of a text only an empty field is null
    return raw.select([cells[name].cast(kinds[name]).alias(name) for name in raw.columns])


def _nullified(name: str, words: Sequence[str]) -> Column:
    return F.when(~column(name).isin(*words), column(name))


def _csv_kinds(table: DataFrame, group_by: Sequence[str], texts: Sequence[str]) -> dict[str, T.DataType]:
    """Choose every column's type in one pass over the file."""
    names = [name for name in table.columns if name not in texts]
    tests: dict[str, Callable[[Column], Column]] = {
        "some": lambda c: F.count(c) > 0,
        "integer": lambda c: F.every(c.isNull() | (c.rlike(_INTEGER) & c.try_cast("bigint").isNotNull())),
        "float": lambda c: F.every(F.coalesce(c.rlike(_FLOAT), F.lit(True))),
        "boolean": lambda c: F.every(F.coalesce(c.isin(*_BOOLEANS), F.lit(True))),
        "padded": lambda c: F.some(F.coalesce(c.rlike("^[+-]?0[0-9]"), F.lit(False))),
    }
    if not names:
        return dict.fromkeys(texts, T.StringType())
    tested = table.agg(*(test(column(n)).alias(f"{i}_{k}") for i, n in enumerate(names) for k, test in tests.items()))
    answers = tested.collect()[0]
    kinds: dict[str, T.DataType] = dict.fromkeys(table.columns, T.StringType())
    for i, name in enumerate(names):
        if name in group_by and answers[f"{i}_padded"]:
            continue  # as numbers, "007" and "7" would become one group
        if answers[f"{i}_integer"] and answers[f"{i}_some"]:
            kinds[name] = T.LongType()
        elif answers[f"{i}_float"]:  # a column without any value holds floats to pandas, too
            kinds[name] = T.DoubleType()
        elif answers[f"{i}_boolean"]:
            kinds[name] = T.BooleanType()
    return kinds


def write_spark(frame: DataFrame, output: str) -> None:
    """Write a table: a folder of CSV or Parquet files by the name's ending, ``delta:<path>``, or a catalogue table.

    Raises
    ------
    InputError
        Something stands there already, or Spark cannot write there.
    """
    writer = frame.write.mode("error")
    try:
        if output.startswith(DELTA):
            _with_delta(lambda: writer.format("delta").save(_absolute(output.removeprefix(DELTA))))
        elif output.lower().endswith(".csv"):
            writer.csv(_absolute(output), header=True)
        elif output.lower().endswith((".parquet", ".pq")) or "/" in output:
            writer.parquet(_absolute(output))
        else:
            writer.saveAsTable(output)
    except PySparkException as error:
        if error.getCondition() in ("PATH_ALREADY_EXISTS", "TABLE_OR_VIEW_ALREADY_EXISTS"):
            raise InputError(f"{output!r} exists already. Name another output, or remove it first.") from error
        raise


def reason(error: BaseException) -> str:
    """Find the line of one of Spark's errors that says what happened, without the stack traces of two languages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    raised = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt): ", line)]
    if raised and "Python worker:" in lines[0]:
        return raised[-1]
    if lines[0].startswith("An error occurred while calling") and len(lines) > 1:
        # The bridge to Java names its own object first. The exception follows, and its first cause comes last.
        causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
        return causes[-1] if causes else lines[1].removeprefix(": ")
    return lines[0]


def sample_frame(frame: DataFrame) -> pd.DataFrame:
    """Make one row of values of the types that a Spark table has."""
    return pd.DataFrame({name: pd.Series([example_of(spark_type)]) for name, spark_type in column_types(frame).items()})


def column_types(frame: DataFrame) -> dict[str, str]:
    """Name each column's type in Spark's own words; texts of all lengths are "string"."""
    texts = (T.StringType, T.CharType, T.VarcharType)
    return {
        field.name: "string" if isinstance(field.dataType, texts) else field.dataType.simpleString()
        for field in frame.schema.fields
    }


def example_of(spark_type: str) -> Any:
    """Give a value of one of Spark's types, in the words of `column_types`; an empty list for a nested type."""
    return Decimal(1) if spark_type.startswith("decimal") else TYPE_EXAMPLES.get(spark_type, ([], ""))[0]
