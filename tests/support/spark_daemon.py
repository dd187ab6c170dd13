"""The daemon of Spark's Python workers, which has imported what all of them need before it forks them.

A worker ends when nobody has asked it for a minute, or when a test kills it, and the next one would import pandas and
scikit-learn anew. Nothing of this checkout is imported here, and not MLflow: which of these a worker has, and what it
passes over in its search for garbage, is what tests are about.
"""

import gc
import runpy
from importlib import import_module

# What the fits of the tests, and the form that their rows are brought to, need of what others wrote.
_NEEDED = (
    *("pandas", "pyarrow", "pyarrow.compute", "pyarrow.parquet", "threadpoolctl", "pyspark.worker"),
    *("pyspark.sql.pandas.serializers", "sklearn.dummy", "sklearn.ensemble", "sklearn.inspection"),
    *("sklearn.linear_model", "sklearn.neighbors", "sklearn.pipeline", "sklearn.tree"),
)


def main() -> None:
    """Import, and be PySpark's own daemon, by its name."""
    gc.disable()
    for name in _NEEDED:
        import_module(name)
    gc.enable()
    runpy.run_module("pyspark.daemon", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
