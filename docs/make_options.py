"""Write docs/options.md from the declarations of the options: `python docs/make_options.py`."""

from pathlib import Path

from metamodel.common.option import Option, OptionGroup
from metamodel.tracking.options import RUN_GROUPS

HEAD = """# Options of a training

Written by `python docs/make_options.py` from the declarations in `metamodel/training/options/groups.py` and
`metamodel/tracking/options.py`. An option has one name everywhere: a keyword of `metamodel.train`, `--name` with
dashes on the command line, `-P name=` with `mlflow run`, a key in a file of options. Those under *MLflow*, and
`predict_method` and `detail`, are arguments of `metamodel.log_model` (`register` is its
`registered_model_name`; `rate`, `concurrency` and `server_patience` are its `settings`). What they do is told in
[training](training.md).

*Digest* says whether an option decides what a group's rows are turned into. Equal digests and equal rows give equal
children, and an interrupted training is taken up again only where the digest is the same.

## Objects

The option's own word takes a plain value, or an object that holds its sub-options too. A sub-option beside the object
is an `InputError`.

```python
from metamodel import Holdout, KFold, Rolling, Shrinkage, Tuning

keys = ["country", "store"]
metamodel.train(sales, keys, "units", tune=Tuning("space.yaml", trials=50))
metamodel.train(sales, keys, "units", shrinkage=Shrinkage("constant", alpha=0.3))
metamodel.train(sales, keys, "units", time_column="week", split=Rolling(folds=3, horizon=4))
metamodel.train(sales, keys, "units", split=Holdout(0.3))  # split and holdout; or KFold(5)
```

## Files

```sh
metamodel train --config sales.yaml --trials 50     # the command line wins over the file
metamodel train --config sales.yaml --print-config  # what would be used, as such a file; nothing is trained
```

`--config` takes YAML or JSON: options by their names, flat or under the keys of their groups (below). `tune` may hold
the search space itself, `overrides` the rows. `null` is "not given", but for `unknown: null`, which is that policy.
On the command line an empty value (`--min-rows ""`) of an option that has a default is not given either; of another
one it is "none" (`--time-column ""`), and wins over the file. A misspelt key, a wrong type, an option of another
command are one line and exit code 2. Paths are relative to the working directory, as on the command line. `score`,
`serve`, `pack` and `reference` take `--config` too.

Every run holds the options that were used as `config.yaml`, and `metamodel train --config config.yaml` repeats it:
the same ledger, but for the seconds. A training from Python writes what a file can hold; what was an object (a
DataFrame, an estimator) is named under `objects`, and has to be given beside `--config`.
"""


def page() -> str:
    """Write the page."""
    return "\n".join([HEAD, *map(_section, RUN_GROUPS)])


def _section(group: OptionGroup) -> str:
    rows = "".join(map(_row, group.options))
    table = f"| option | default | digest | |\n|---|---|---|---|\n{rows}"
    return f"## {group.heading}\n\nKey in a file: `{group.key}`\n\n{table}"


def _row(one: Option) -> str:
    default = "required" if one.required else "" if one.default is None else f"`{one.default}`".lower()
    return (
        f"| `{one.name}` | {default} | {'yes' if one.decisive else 'no'} | {one.help.replace('|', chr(92) + '|')} |\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("options.md").write_text(page(), encoding="utf-8")
