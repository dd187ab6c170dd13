"""Importances of many linear children at once, as `evaluation.importance` reads them off each."""

import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.importance import SPREAD_ROWS
from metamodel.fitting.array_fits.program import ArrayProgram
from metamodel.fitting.array_fits.row_stacks import GroupSpans, row_stacks

__all__ = ["many_importances"]


def many_importances(
    x: AnyArray, every: GroupSpans, program: ArrayProgram, numbers: dict[str, AnyArray]
) -> tuple[AnyArray, AnyArray]:
    """Read shares and coefficients, each of shape (n_groups, n_features).

    Parameters
    ----------
    x
        Features of the table's rows, shape (n_rows, n_features).
    every
        All rows of each group, also those that were not fitted.
    program, numbers
        How the groups were fitted, and what came out.
    """
    coefficients = numbers["coef_"]
    shares = np.empty(coefficients.shape)
    for stack in row_stacks(every, x.shape[1]):
        of_stack = {name: values[stack.groups] for name, values in numbers.items()}
        seen = program.transformed(of_stack, x[stack.positions[:, :SPREAD_ROWS]])
        weights = np.abs(of_stack["coef_"]) * seen.std(axis=1)
        total = weights.sum(axis=1)[:, None]
        shares[stack.groups] = np.divide(weights, total, out=weights, where=total > 0)
    return shares, coefficients
