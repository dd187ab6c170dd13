"""The command line; MLproject's entry points call it.

It knows options and how results are shown, and nothing of how anything is done. Results go to stdout, progress to
stderr. Exit code 0 means success, 2 bad input, 3 that a gate let a version not pass or that a person should look at
an incident, 1 anything else; an error is one line.
"""

import atexit
import gc
import os

import click

from metamodel.cli.acknowledge import acknowledge
from metamodel.cli.base.click_groups import Commands
from metamodel.cli.compact_log import compact_log
from metamodel.cli.compare_variants import compare_variants
from metamodel.cli.explain import explain
from metamodel.cli.export import export
from metamodel.cli.gate import gate
from metamodel.cli.history import history
from metamodel.cli.inspect import inspect
from metamodel.cli.log import log
from metamodel.cli.monitor import monitor
from metamodel.cli.pack import pack, serve_check
from metamodel.cli.promote import promote
from metamodel.cli.reference import reference
from metamodel.cli.report import report
from metamodel.cli.rollback import rollback
from metamodel.cli.rollout import rollout
from metamodel.cli.score import score
from metamodel.cli.serve import serve
from metamodel.cli.train import train
from metamodel.cli.update import update
from metamodel.cli.versions import versions
from metamodel.common.version import __version__

__all__ = ["main"]


_SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 110,
    # `mlflow run` hands a parameter of the name tune_seconds on as --tune_seconds.
    "token_normalize_func": lambda name: name.replace("_", "-"),
}


@click.group(cls=Commands, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="metamodel")
def main() -> None:
    """One model for each group of a table, shipped as one MLflow model."""
    # The bar of every small upload would bury the one of the training.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Python looks through everything for garbage when it ends, which takes a quarter of a short command's time; all of
    # it goes with the process.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


_MODELS = (train, log, score, serve, compact_log, inspect, report, export, pack, reference, serve_check)

_VERSIONS = (
    *(update, gate, promote, rollout, compare_variants, rollback),
    *(versions, history, explain, monitor, acknowledge),
)

for command in (*_MODELS, *_VERSIONS):
    main.add_command(command)
