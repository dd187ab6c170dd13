"""Say where there is no pooled model although one was wanted, or where nothing is known of how it answers strangers."""

from metamodel.tables.checks import Finding
from metamodel.training.engines.pooled import why_no_pooled
from metamodel.training.engines.task import TaskResult
from metamodel.training.plan import Plan
from metamodel.training.pooled_answers import Rivals

__all__ = ["missing_pooled"]


def missing_pooled(plan: Plan, rivals: Rivals) -> list[Finding]:
    """Say why a model of all groups is missing: it costs too much, or its fit failed.

    Parameters
    ----------
    plan
        What was asked.
    rivals
        What was fitted on the rows of all groups.
    """
    if plan.only is not None and not all(map(plan.fits, plan.sizes)):
        return []  # it is taken over from the version before
    why = why_no_pooled(plan)
    texts = [f"There is no model of all groups that knows the group columns: {why}"] if why else []
    knowing = "The model of all groups that knows the group columns could not be"
    for result, what in (
        (rivals.pooled, f"{knowing} fitted, and answers nobody"),
        (rivals.pooled_strangers, f"{knowing} asked of groups that it has not seen"),
        (rivals.global_strangers, "The global model could not be asked of groups that it has not seen"),
    ):
        if error := _error(result):
            texts.append(f"{what}: {error.rstrip('.')}. pooled=False does without.")
    return [Finding("pooled", (), text) for text in texts]


def _error(result: TaskResult | None) -> str:
    if result is None or result.ledger[0].status == "fitted":
        return ""
    return result.ledger[0].error or result.ledger[0].reason
