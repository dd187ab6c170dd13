"""XGBoost's classifier for labels of any kind, as scikit-learn's own classifiers take them.

Importing this module needs XGBoost, which is an extra; it is named by `estimators` and imported when it is asked for.
"""

from typing import Any, Self

import numpy as np
import xgboost

from metamodel.common.arrays import AnyArray

__all__ = ["XGBClassifier"]


class XGBClassifier(xgboost.XGBClassifier):
    """`xgboost.XGBClassifier`, which by itself takes only the labels 0, 1, 2, ...

    Examples
    --------
    >>> child = XGBClassifier(n_estimators=5, n_jobs=1).fit(np.array([[0.0], [1.0]] * 10), ["no", "yes"] * 10)
    >>> child.predict(np.array([[1.0]])).tolist(), child.classes_.tolist()
    (['yes'], ['no', 'yes'])
    """

    def fit(self, X: Any, y: Any, *, eval_set: Any = None, **options: Any) -> Self:
        """Fit on labels of any sortable kind; arguments are those of `xgboost.XGBClassifier.fit`."""
        self.__dict__.pop("labels_", None)  # while it fits, XGBoost compares its own classes with the codes
        labels, codes = np.unique(np.asarray(y), return_inverse=True)
        if len(labels) < 2:
            raise ValueError(f"XGBoost needs at least two classes, and there is one: {labels.tolist()[0]!r}")
        watched = eval_set and [(x, np.searchsorted(labels, np.asarray(known))) for x, known in eval_set]
        super().fit(X, codes, eval_set=watched, **options)
        self.labels_ = labels
        return self

    def predict(self, X: Any, **options: Any) -> AnyArray:
        """Predict labels; arguments are those of `xgboost.XGBClassifier.predict`."""
        codes = super().predict(X, **options)
        return codes if options.get("output_margin") else self.labels_[np.asarray(codes, dtype=np.intp)]

    @property
    def classes_(self) -> AnyArray:
        """The labels, sorted, in the order of `predict_proba`'s columns."""
        labels: Any = getattr(self, "labels_", super().classes_)
        return labels
