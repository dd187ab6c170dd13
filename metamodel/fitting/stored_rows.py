"""Say which children hold rows of the training table themselves, so that whoever has the model has these rows."""

from collections.abc import Iterable
from typing import Any, Final

from metamodel.common.messages import listing
from metamodel.fitting.spec import Candidate
from metamodel.tables.checks import Finding

__all__ = ["holds_rows", "stored_row_findings"]

# Estimators of these modules keep the rows that they are fitted on.
_MODULES: Final = (
    "sklearn.neighbors",
    "sklearn.gaussian_process",
    "sklearn.kernel_ridge",
    "sklearn.semi_supervised",
    "sklearn.manifold",
    "tabpfn",
)

# Module → classes that keep them, or some: at the edges of classes, drawn at random, or those to impute from.
_CLASSES: Final = {
    "sklearn.svm": ("SVC", "SVR", "NuSVC", "NuSVR", "OneClassSVM"),
    "sklearn.impute": ("KNNImputer",),
    "sklearn.kernel_approximation": ("Nystroem",),
    "sklearn.decomposition": ("KernelPCA",),
    "sklearn.isotonic": ("IsotonicRegression",),
}

# Of these modules, what keeps no row.
_WITHOUT_ROWS: Final = ("NearestCentroid", "SelfTrainingClassifier", "NeighborhoodComponentsAnalysis")


def holds_rows(estimator: Any) -> bool:
    """Whether a fitted estimator, or one inside it, holds rows that it was fitted on.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> holds_rows(make_pipeline(StandardScaler(), KNeighborsRegressor())), holds_rows(Ridge())
    (True, False)
    """
    inside = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return any(map(_keeps_rows, (estimator, *inside)))


def _keeps_rows(value: Any) -> bool:
    if isinstance(value, type) or not hasattr(value, "fit"):
        return False
    names = [(base.__module__, base.__name__) for base in type(value).__mro__]
    if any(name in _WITHOUT_ROWS for _, name in names):
        return False
    of_modules = any(module.startswith(_MODULES) for module, _ in names)
    return of_modules or any(
        module.startswith(package) and name in classes
        for module, name in names
        for package, classes in _CLASSES.items()
    )


def stored_row_findings(candidates: Iterable[Candidate], used: Iterable[str]) -> list[Finding]:
    """Name the estimators of children that hold rows.

    Parameters
    ----------
    candidates
        Of all groups.
    used
        Names of those that became a child.
    """
    chosen = set(used)
    labels = {one.label for one in candidates if one.name in chosen and holds_rows(one.estimator)}
    if not labels:
        return []
    message = (
        f"Children of {listing(sorted(labels), 3)} hold rows that they were fitted on, so whoever loads the model can "
        "read them. Where nobody may, choose another estimator (docs/privacy.md)."
    )
    return [Finding("stored rows", (), message)]
