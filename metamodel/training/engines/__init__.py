"""Engines: what fits the groups of one training, and on which machines. They know no MLflow.

An engine is a class of `metamodel.training.engines.base.Engine`: it opens a table and plans, counts for the data
checks, and fits the groups of one phase. The order of the phases, and which groups are fitted again, is the same for
all. There are two:

- "local" (`local`): tasks on this machine, run by a `TaskExecutor`: here (`SequentialExecutor`) or in many processes
  (`joblib_pool.ProcessPool`).
- "spark" (`spark`): one shuffle and one pass over sorted groups in Spark's workers.

To add an engine, write a subclass of `Engine` with its seven methods (`_open`, `head`, `facts`,
`fresh_rows`, `fingerprints`, `parallelism`,
`_fit_phase`) and with what makes its plan (`_make_plan`), in a module or package of its own, and name it in `ENGINES`;
the option `engine` then takes the name. Fit each group with `group_fitter.GroupFitter`, which gives the same child and
the same row of the ledger everywhere, and hand back `task.TaskResult`. Where the table is in this process,
`plan.make_plan` plans; where it is not, `problem.decide` decides by a few rows that stand for it, as
`spark.profile` shows. A package that only this engine needs is imported in its own modules alone (pyproject.toml).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metamodel.common.extras import require_extra
from metamodel.common.validation import one_of

if TYPE_CHECKING:
    from metamodel.training.engines.base import Engine

__all__ = ["ENGINES", "get_engine"]

# Value of the option `engine` → module and class; only the one that is asked for is imported.
ENGINES = {
    "local": ("metamodel.training.engines.local", "LocalEngine"),
    "spark": ("metamodel.training.engines.spark.engine", "SparkEngine"),
}


def get_engine(name: str) -> "type[Engine[Any]]":
    """Look an engine up by its name.

    Raises
    ------
    InputError
        There is none of this name, or the package that it needs is not installed.
    """
    one_of("engine", name, tuple(ENGINES))
    if name == "spark":
        require_extra("spark", "engine='spark'", "pyspark")
    module, of_module = ENGINES[name]
    engine: type[Engine[Any]] = getattr(import_module(module), of_module)
    return engine
