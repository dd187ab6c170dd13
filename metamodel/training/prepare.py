"""A training up to its first fit: everything that is refused is refused here, before anybody opens a run for it."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from metamodel.bundle.codecs import get_codec
from metamodel.bundle.writer import refuse_foreign
from metamodel.common.failures import storage_failures
from metamodel.common.option import named
from metamodel.common.temp_dirs import directory_until_exit, discard_until_exit
from metamodel.common.uris import without_credentials
from metamodel.evaluation.shrinkage import Shrinkage
from metamodel.fitting.tuning import ends_of_budget, read_space
from metamodel.tables import files as tables
from metamodel.tables.checks import Finding, TableFacts, copy_findings, findings, kinds_of, odd_field_findings, refuse
from metamodel.training.assemble import fit_and_assemble
from metamodel.training.blend_weights import check_weights
from metamodel.training.carrying.asked import recipe_of, update_of
from metamodel.training.carrying.previous import expected_kinds, open_previous, starts_from
from metamodel.training.carrying.update_plan import Lineage
from metamodel.training.engines import get_engine
from metamodel.training.options import Inputs, TrainingOptions
from metamodel.training.options.written import written_down
from metamodel.training.overrides import Override, read_overrides
from metamodel.training.plan import Plan
from metamodel.training.result import TrainingResult

__all__ = ["PreparedTraining"]

_LOG = logging.getLogger(__name__)


class PreparedTraining:
    """A training whose options and table are checked.

    Parameters
    ----------
    asked
        Every argument of `metamodel.train` by its name, without objects that hold several.

    Attributes
    ----------
    plan : Plan
        What will be trained.

    Raises
    ------
    InputError
        The table or an option is wrong.
    """

    @storage_failures()
    def __init__(self, asked: Mapping[str, Any]) -> None:
        started = time.monotonic()
        plain = {
            "tune": read_space(asked["tune"]),
            "shrinkage": Shrinkage.create(asked["shrinkage"], asked["shrinkage_params"]),
        }
        options = TrainingOptions.create(**named(TrainingOptions, {**asked, **plain}))
        inputs = Inputs(**named(Inputs, asked))
        self._end, self._stacked_by = ends_of_budget(started, options.budget_seconds, stack=options.stack)
        get_codec(options.codec)
        engine = get_engine(options.engine)
        self._path = Path(os.path.abspath(inputs.output_dir)) if inputs.output_dir else None
        if self._path:
            refuse_foreign(self._path)
        earlier = open_previous(inputs.previous, options.warm_start)
        expected = expected_kinds(inputs.schema, earlier)
        exceptions = _exceptions(inputs.overrides, options.group_by, optional=bool(inputs.retrain))
        self._training = engine(
            inputs.data, options, inputs.estimator, inputs.estimator_params, inputs.features, exceptions
        )
        self._findings = _check(self._training.plan, self._training.facts(), expected, inputs.strict)
        update = update_of(inputs, earlier, self._training)
        self.plan: Plan = self._training.plan
        self._lineage = Lineage(recipe_of({**asked, "tune": options.tune}, self.plan, exceptions), update)
        self._starts = starts_from(earlier, self.plan, None if update is None else update.incumbents)
        check_weights(self.plan)
        self._config = without_credentials(written_down({**asked, "tune": options.tune}))

    @storage_failures()
    def run(self) -> TrainingResult:
        """Train.

        Raises
        ------
        AllGroupsFailed
            Not one group could be fitted.
        """
        training, path = self._training, self._path or _temporary_bundle()
        fit = partial(training.fit, self._end, self._starts)
        try:
            result = fit_and_assemble(
                self.plan, fit, path, training.head, training.source, self._findings, self._stacked_by, self._lineage
            )
        except BaseException:
            discard_until_exit(path)  # nobody can go on with what has no name
            raise
        return replace(result, config=self._config)


def _exceptions(overrides: Any, group_by: Sequence[str], *, optional: bool) -> tuple[Override, ...]:
    """Read a table of overrides; in a file keys are text, whatever they look like."""
    if not isinstance(overrides, str | Path):
        read = read_overrides(overrides, group_by)
    elif overrides:
        read = read_overrides(tables.read_table(overrides, group_by, group_by), group_by, from_text=True)
    else:
        read = ()
    return tuple(replace(override, optional=optional) for override in read)


def _check(plan: Plan, facts: TableFacts, expected: Mapping[str, str] | None, strict: bool) -> list[Finding]:
    found = findings(facts, plan.options.target, kinds_of(plan.keys, plan.features), expected)
    found += odd_field_findings(plan.odd_fields) + copy_findings(plan.equal_rows, plan.options.duplicates)
    if strict:
        refuse(found)
    for one in found:
        _LOG.warning("warning: %s", one.message)
    return found


def _temporary_bundle() -> Path:
    return directory_until_exit() / "bundle"
