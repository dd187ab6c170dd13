"""What Spark's Python workers do, without Spark: whole groups out of a stream of batches."""

from itertools import pairwise

import forked_programs
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from metamodel.training.engines.spark.worker import whole_groups


def test_code_of_the_workers_imports_neither_mlflow_nor_spark() -> None:
    """Python workers are shared by all jobs of a session, so look at a fresh process; the cluster's test does too."""
    code = (
        "import metamodel.training.engines.spark.worker\nprint([m for m in ('mlflow', 'pyspark') if m in sys.modules])"
    )
    found = forked_programs.run("program_text", forked_programs.anew("metamodel", "mlflow", "pyspark") + code)

    assert found.stdout.strip() == "[]", found.stderr


@given(st.lists(st.integers(1, 5), max_size=8), st.lists(st.integers(0, 30), max_size=6))
def test_groups_stay_whole_however_the_stream_is_cut(sizes: list[int], cuts: list[int]) -> None:
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    bounds = sorted({0, len(numbers), *(cut for cut in cuts if cut < len(numbers))})
    stream = pa.record_batch({"number": pa.array(numbers, pa.int64()), "row": pa.array(np.arange(len(numbers)))})
    batches = [stream.slice(a, b - a) for a, b in pairwise(bounds)]

    parts = [table.to_pandas() for table in whole_groups(iter(batches))]

    seen = [set(part["number"]) for part in parts]
    assert sum(map(len, seen)) == len(sizes)
    assert [row for part in parts for row in part["row"]] == list(range(len(numbers)))
