"""Bring a small Spark table to the driver, for models of the rows of all groups."""

from dataclasses import fields

from metamodel.evaluation.holdout import child_ids
from metamodel.exceptions import InvalidKey
from metamodel.tables.arrow import arrow_to_pandas
from metamodel.tables.grouping import group_rows
from metamodel.training.engines.spark.newest import exact_dtype
from metamodel.training.engines.spark.profile import SparkPlan
from metamodel.training.engines.spark.worker import CHILD, PartitionTrainer
from metamodel.training.plan import Plan, TablePlan

__all__ = ["collected_plan"]


def collected_plan(plan: SparkPlan, trainer: PartitionTrainer) -> TablePlan:
    """Plan the same training with the rows that belong to a group on the driver, brought to form as workers do it.

    Parameters
    ----------
    plan
        With the table, which has to be small.
    trainer
        What fits the plan's groups.
    """
    arrow = plan.frame.toArrow()
    keys = arrow.select(plan.keys.names)
    key_frame = arrow_to_pandas(keys, {field.name: exact_dtype(field) for field in keys.schema})
    grouping = group_rows(key_frame, plan.keys)
    if any(isinstance(key, InvalidKey) for key in grouping.keys):  # the null keys that null_keys="drop" leaves out
        known = [not isinstance(key, InvalidKey) for key in grouping.keys]
        is_known = [known[code] for code in grouping.codes.tolist()]
        arrow, grouping = arrow.filter(is_known), group_rows(key_frame[is_known], plan.keys)
    frame = arrow_to_pandas(arrow.select(list(plan.dtypes)), plan.dtypes)
    children = child_ids(key for key in grouping.keys if isinstance(key, tuple))[grouping.codes]
    table = trainer.rows(frame.assign(**{CHILD: children}))
    same = {field.name: getattr(plan, field.name) for field in fields(Plan)}
    return TablePlan(**same, table=table, grouping=grouping)
