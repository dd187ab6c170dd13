"""Search spaces of the named estimators, as a user would write them."""

from typing import Any

__all__ = ["BUILT_IN"]

# Tree ensembles that count rounds are not told how many: early stopping finds the number for each trial.
BUILT_IN: dict[str, dict[str, Any]] = {
    "ridge": {"alpha": (1e-4, 1e3, "log")},
    "lasso": {"alpha": (1e-4, 1e1, "log")},
    "elastic_net": {"alpha": (1e-4, 1e1, "log"), "l1_ratio": (0.05, 1.0)},
    "huber": {"alpha": (1e-5, 1e1, "log"), "epsilon": (1.05, 3.0)},
    "poisson": {"alpha": (1e-4, 1e1, "log")},
    "logistic_regression": {"C": (1e-3, 1e3, "log")},
    "gaussian_nb": {"var_smoothing": (1e-12, 1e-2, "log")},
    "svm": {"C": (1e-2, 1e3, "log"), "gamma": ["scale", "auto"]},
    "nearest_neighbors": {"n_neighbors": (1, 30), "weights": ["uniform", "distance"], "p": [1, 2]},
    "decision_tree": {"max_depth": (2, 12), "min_samples_leaf": (1, 32, "log")},
    "random_forest": {
        "max_features": (0.2, 1.0),
        "min_samples_leaf": (1, 16, "log"),
        "max_depth": [None, 4, 8, 16],
    },
    "extra_trees": {
        "max_features": (0.2, 1.0),
        "min_samples_leaf": (1, 16, "log"),
        "max_depth": [None, 4, 8, 16],
    },
    "gradient_boosting": {
        "n_estimators": (50, 400, "log"),
        "learning_rate": (0.01, 0.3, "log"),
        "max_depth": (1, 5),
        "subsample": (0.5, 1.0),
        "min_samples_leaf": (1, 16, "log"),
    },
    "hist_gradient_boosting": {
        "learning_rate": (0.02, 0.3, "log"),
        "max_leaf_nodes": (3, 63, "log"),
        "min_samples_leaf": (2, 40, "log"),
        "l2_regularization": (1e-3, 1e1, "log"),
    },
    "xgboost": {
        "learning_rate": (0.02, 0.3, "log"),
        "max_depth": (1, 8),
        "min_child_weight": (0.5, 20.0, "log"),
        "subsample": (0.5, 1.0),
        "colsample_bytree": (0.4, 1.0),
        "reg_lambda": (1e-2, 20.0, "log"),
    },
}
