"""The command line: ``metamodel train | score | ...``. MLproject's entry points call it.

Results go to stdout, progress to stderr. Exit code 0 means success, 2 bad input, 1 anything else; an error is one line.
"""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from metamodel import __version__
from metamodel.exceptions import AllGroupsFailed, InputError, MetaModelError, UnknownGroup

__all__ = ["main"]


_STATISTICS = ("mean", "median", "p10", "p90", "worst")


class _Names(click.ParamType):  # type: ignore[type-arg]
    """A list of names behind one another: ``country,store``."""

    name = "NAMES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Split at commas."""
        return value if isinstance(value, list) else [name.strip() for name in value.split(",") if name.strip()]


class _Json(click.ParamType):  # type: ignore[type-arg]
    """A JSON value; an empty string is none."""

    name = "JSON"

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse, and insist on the kind of value."""
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            parsed = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is no JSON: {error}", param, ctx)
        if not isinstance(parsed, self._kind):
            self.fail(f"{value!r} is no JSON {'object' if self._kind is dict else 'array'}", param, ctx)
        return parsed


class _WholeNumber(click.ParamType):  # type: ignore[type-arg]
    """An integer; MLproject's numbers are floats, so ``2.0`` is one too."""

    name = "INTEGER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse without rounding."""
        try:
            number = int(float(value))
        except (ValueError, OverflowError):  # text, NaN; infinity
            self.fail(f"{value!r} is no whole number", param, ctx)
        if number != float(value):
            self.fail(f"{value!r} is no whole number", param, ctx)
        return number


class _Seconds(click.ParamType):  # type: ignore[type-arg]
    """A number of seconds; an empty string is none."""

    name = "SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Parse."""
        if value == "":
            return None
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is no number of seconds", param, ctx)


@contextlib.contextmanager
def _at_work() -> Iterator[None]:
    """Turn the errors that people cause into one line and an exit code; what libraries print goes to stderr."""
    from mlflow.exceptions import MlflowException

    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (InputError, AllGroupsFailed, UnknownGroup) as error:
        raise _Exit(str(error), 2) from error
    except MetaModelError as error:
        raise _Exit(str(error), 1) from error
    except MlflowException as error:
        raise _Exit(f"MLflow refused: {error.message.splitlines()[0]}", 1) from error
    except OSError as error:
        if error.filename is None:
            raise
        reason = f"{error.filename!r} cannot be used: {error.strerror}. Check the path and who may write there."
        raise _Exit(reason, 2) from error


class _Exit(click.ClickException):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True)


_inputs_option = click.option(
    "--inputs",
    type=click.Choice(["columns", "unchecked", "packed"]),
    default="columns",
    show_default=True,
    help="Form of the signature.",
)


def _json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="metamodel")
def main() -> None:
    """One model for each group of a table, shipped as one MLflow model."""
    # The bar of every small upload would bury the one of the training.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@main.command()
@click.option(
    "--data", required=True, help="CSV, Parquet file or folder; a built-in sample (sales, california); a Spark table."
)
@click.option("--group-by", required=True, type=_Names(), help="Group columns, separated by commas.")
@click.option("--target", required=True, help="Column to predict.")
@click.option(
    "--estimator", default="ridge", show_default=True, help="Name or dotted path; several behind commas are candidates."
)
@click.option("--estimator-params", type=_Json(dict), default=None, help='JSON object, such as {"alpha": 2.0}.')
@click.option(
    "--features", type=_Names(), default="", help="Feature columns; default: every column without another role."
)
@click.option(
    "--holdout", type=float, default=0.2, show_default=True, help="Share of each group's rows to judge it on."
)
@click.option("--time-column", default="", help="Hold back the latest rows by this column.")
@click.option("--min-rows", type=_WholeNumber(), default=2, show_default=True, help="Skip groups with fewer rows.")
@click.option("--unknown", default="null", show_default=True, help="Groups without a child: null, error or fallback.")
@click.option("--null-keys", default="error", show_default=True, help="Null group columns: error, group or drop.")
@click.option("--codec", default="cloudpickle", show_default=True, help="cloudpickle, joblib or skops.")
@click.option("--engine", default="local", show_default=True, help="local or spark.")
@click.option("--n-jobs", type=_WholeNumber(), default=-1, show_default=True, help="Processes; -1: one a core.")
@click.option("--output-dir", default="", help="Keep the bundle here; the same command resumes after a crash.")
@click.option("--random-state", type=_WholeNumber(), default=0, show_default=True, help="Seed.")
@click.option("--max-group-rows", type=_WholeNumber(), default=None, help="Skip groups with more rows; default: none.")
@click.option(
    "--split", default="holdout", show_default=True, help="holdout, kfold:5, or rolling:folds=3,horizon=4,step=4."
)
@click.option("--metric", default="", help="What candidates are compared by; default: rmse or log_loss.")
@click.option("--season", type=_WholeNumber(), default=0, help="Length of a season in time steps, for the baseline.")
@click.option("--duplicates", default="drop", show_default=True, help="Exact copies of a row: drop or keep.")
@click.option("--sample-weight", default="", help="Column of row weights; never a feature.")
@click.option("--schema", type=_Json(dict), default=None, help='Expected kinds, such as {"price": "number"}.')
@click.option("--previous", default="", help="Model before this one, whose columns are expected: MLflow URI or path.")
@click.option("--strict", type=bool, default=False, show_default=True, help="Refuse a table with findings.")
@click.option("--overrides", default="", help="File of exceptions: group columns, estimator, min_rows, skip ...")
@click.option("--group-seconds", type=float, default=0, help="Time limit for the fits of one group; 0: none.")
@click.option("--register", default="", help="Register a version of the model under this name.")
@click.option("--alias", default="", help="Point this alias at the new version.")
@click.option("--experiment", default="", help="MLflow experiment of a new run.")
@click.option("--stack/--no-stack", default=True, help="Also store linear models and tree ensembles as arrays.")
@click.option("--prune/--no-prune", default=False, help="Store no child that is not better than its parent.")
@click.option("--tune", default="", help="Search parameters: auto, or a YAML or JSON file with the search space.")
@click.option("--trials", type=_WholeNumber(), default=30, show_default=True, help="Trials a group, at most.")
@click.option("--patience", type=_WholeNumber(), default=10, show_default=True, help="End after trials without gain.")
@click.option("--tune-seconds", type=_Seconds(), default=None, help="Limit of the search in one group.")
@click.option("--budget-seconds", type=_Seconds(), default=None, help="Limit of the whole training, searches included.")
@click.option("--predict-method", default="predict", show_default=True, help="predict or predict_proba.")
@click.option("--detail/--no-detail", default=False, help="Answer key, level, child version and error by default.")
@_inputs_option
@_json_option
def train(
    *,
    group_by: list[str],
    features: list[str],
    register: str,
    alias: str,
    experiment: str,
    predict_method: str,
    detail: bool,
    inputs: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Train one child for every group, log ONE run, register ONE model."""
    with _at_work():
        import metamodel
        from metamodel.registry import check_names
        from metamodel.tracking import training_run

        if alias and not register:
            raise InputError("--alias needs a registered model. Give --register NAME too.")
        check_names(register, alias)
        with training_run(experiment or None) as run:
            previous = options.pop("previous")
            options["previous"] = metamodel.load_model(previous) if previous else None
            result = metamodel.train(group_by=group_by, features=features or None, **options)
            info = metamodel.log_model(
                result,
                registered_model_name=register or None,
                alias=alias or None,
                predict_method=predict_method,
                detail=detail,
                inputs=inputs,  # type: ignore[arg-type]  # one of them
            )
        page = _report_beside(result.bundle_path) if options["output_dir"] else "report.html, in the run"
        version = str(info.registered_model_version) if register else None
        preview = _preview(result, [*group_by, options["target"]])
    if as_json:
        facts = {"run_id": run.info.run_id, "model_uri": info.model_uri, "registered_model": register or None}
        click.echo(_dumps({**facts, "version": version, "alias": alias or None, "summary": result.summary}))
        return
    click.echo(_summary_text(result.summary))
    click.echo(f"\nrun               {run.info.run_id}\nmodel             {info.model_uri}")
    click.echo(f"report            {page}")
    if version:
        click.echo(f"registered        {register}, version {version}" + (f", alias {alias}" if alias else ""))
    click.echo(f"\nA few predictions:\n{_table(preview)}")


@main.command()
@click.option("--data", required=True, help="CSV, Parquet file or folder; or a built-in sample.")
@click.option("--model", required=True, help="MLflow URI (models:/NAME@ALIAS), or a path.")
@click.option("--output", required=True, help="File to write, .parquet or .csv; on Spark also a table.")
@click.option("--engine", default="local", show_default=True, help="local or spark.")
@click.option("--unknown", default="", help="Override the recorded policy: null, error or fallback.")
@click.option("--predict-method", default="", help="predict or predict_proba.")
@click.option("--detail/--no-detail", default=None, help="Add key, level, child version and error.")
@_json_option
def score(
    data: str,
    model: str,
    output: str,
    engine: str,
    unknown: str,
    predict_method: str,
    detail: bool | None,
    as_json: bool,
) -> None:
    """Add predictions to a table."""
    with _at_work():
        from metamodel.scoring import score_file

        given = {"unknown": unknown, "predict_method": predict_method, "detail": detail}
        params = {name: value for name, value in given.items() if value not in ("", None)}
        statuses = score_file(data, model, output, engine=engine, params=params)
    rows = sum(statuses.values())
    if as_json:
        click.echo(_dumps({"output": output, "rows": rows, "status": statuses}))
        return
    click.echo(f"{rows:,} rows written to {output}")
    for status, number in sorted(statuses.items(), key=lambda item: -item[1]):
        click.echo(f"  {status:<14} {number:>12,}")


@main.command()
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=_WholeNumber(), default=5000, show_default=True, help="Port to listen on.")
@click.option("--workers", type=_WholeNumber(), default=1, show_default=True, help="Processes; one for each core.")
@click.option(
    "--threads", type=_WholeNumber(), default=4, show_default=True, help="Threads of each for large requests."
)
@click.option("--max-body-mb", type=float, default=64, show_default=True, help="Refuse larger bodies (413).")
@click.option(
    "--max-rows", "rows", type=_WholeNumber(), default=1_000_000, show_default=True, help="Refuse more rows (413)."
)
@click.option(
    "--max-waiting", "waiting", type=_WholeNumber(), default=64, show_default=True, help="Refuse more at once (503)."
)
@click.option(
    "--timeout", "seconds", type=float, default=60, show_default=True, help="Seconds a request may take (504)."
)
@click.option("--drain", type=float, default=1, show_default=True, help="Seconds to go on answering after SIGTERM.")
def serve(model: str, host: str, port: int, workers: int, drain: float, max_body_mb: float, **limits: float) -> None:
    """Serve a model over HTTP: MLflow's protocol, and /metrics; ends on SIGTERM when all is answered."""
    with _at_work():
        from metamodel.serving import serve as serve_model

        limits["body_bytes"] = int(max_body_mb * 2**20)
        code = serve_model(model, host, port, workers, limits, drain, lambda text: click.echo(text, err=True))
    sys.exit(code)


@main.command()
@click.argument("model")
@click.option("--group", type=_Json(list), default=None, help='One child: its key as a JSON array, such as ["FR", 7].')
@click.option(
    "--worst", type=_WholeNumber(), default=10, show_default=True, help="How many of the worst groups to show."
)
@click.option("--verify", is_flag=True, help="Read every file of the bundle and check its digest.")
@_json_option
def inspect(model: str, group: list[Any] | None, worst: int, verify: bool, as_json: bool) -> None:
    """Show a model: its summary, its worst groups, or one child."""
    with _at_work():
        from metamodel import inspection
        from metamodel.fetching import load_model

        opened = load_model(model)
        facts = inspection.one_child(opened, tuple(group)) if group is not None else inspection.overview(opened, worst)
        if verify:
            facts |= inspection.damage(opened)
    if as_json:
        click.echo(_dumps(facts))
    else:
        click.echo("\n\n".join(_section(name, value) for name, value in facts.items()))
    if facts.get("damaged_files"):
        raise _Exit(f"Damaged files: {', '.join(facts['damaged_files'])}. Restore the bundle.", 1)


@main.command()
@click.argument("model")
@click.option("--output", default="report.html", show_default=True, help="File to write.")
@click.option("--data", default="", help="A table, to measure on it what counts for the worst groups.")
@click.option("--worst", type=_WholeNumber(), default=6, show_default=True, help="How many groups to measure.")
@_json_option
def report(model: str, output: str, data: str, worst: int, as_json: bool) -> None:
    """Write the HTML report of a model: MODEL is a bundle's directory, an MLflow URI, or a run's id."""
    with _at_work():
        from metamodel.fetching import load_model
        from metamodel.registry import model_of_run
        from metamodel.report import permute_worst, write_report
        from metamodel.training import read_data

        bundle = load_model(model_of_run(model)).bundle
        permuted = permute_worst(bundle, read_data(data, bundle.manifest.keys.names), worst) if data else None
        path = write_report(bundle, Path(output), permuted)
        facts = {"output": str(path), "bytes": path.stat().st_size}
    click.echo(_dumps(facts) if as_json else f"Written to {path}; open it in any browser.")


@main.command()
@click.argument("model")
@click.option("--group", type=_Json(list), required=True, help='The child\'s key as a JSON array, such as ["FR", 7].')
@click.option("--output", required=True, type=click.Path(), help="Directory to write; it must not exist yet.")
@_json_option
def export(model: str, group: list[Any], output: str, as_json: bool) -> None:
    """Write one child as an ordinary MLflow scikit-learn model."""
    with _at_work():
        from metamodel.exporting import export_child
        from metamodel.fetching import load_model

        if Path(output).exists():
            raise InputError(f"{output} exists already. Name a directory that does not.")
        export_child(load_model(model), tuple(group), output)
    click.echo(
        _dumps({"output": output}) if as_json else f"Written to {output}; load it with mlflow.sklearn.load_model."
    )


@main.command()
@click.argument("model")
@click.option("--data", default="", help="Store children as arrays too, compared with them on these real rows.")
@click.option("--vendor", is_flag=True, help="Bring the children that the model refers to into its bundle.")
@click.option("--zip", "zip_file", default="", help="Write the model, with its children, into this one file.")
@click.option("--output", default="", help="With --data: write the bundle here; default: where it is, replaced.")
@click.option("--register", default="", help="Register the packed model as a new version under this name.")
@click.option("--alias", default="", help="Point this alias at the new version.")
@_inputs_option
@_json_option
def pack(
    model: str, data: str, vendor: bool, zip_file: str, output: str, register: str, alias: str, **form: Any
) -> None:
    """Pack an existing model: for speed (--data), or so that it needs no other server (--vendor, --zip)."""
    as_json = form.pop("as_json")
    with _at_work():
        if bool(data) == bool(vendor or zip_file):
            raise InputError("Give either --data TABLE, or --vendor, --zip FILE or both of these.")
        if output and not data:
            raise InputError("--output goes with --data. The file that --zip names is written where it says.")
        if data:
            from metamodel.repacking import repack

            packed = repack(model, data, output or None, register or None, alias or None, **form)
        else:
            from metamodel import vendoring

            packed = vendoring.pack(model, zip_file=zip_file, register=register, alias=alias)
    click.echo(_dumps(packed) if as_json else _section("packed model", packed))


def _report_beside(bundle_path: Path) -> str:
    from metamodel.bundle import Bundle
    from metamodel.report import write_report

    return str(write_report(Bundle(bundle_path), bundle_path.with_name(f"{bundle_path.name}-report.html")))


@main.command()
@click.option(
    "--children", default="", help="File with the group columns and uri, or models:/sales-{country}@champion."
)
@click.option("--search", default="", help="Instead: registered models by tags, such as tags.project = 'sales'.")
@click.option("--follow", default="", help="With --search: the alias to refer to; default: the latest version.")
@click.option("--example", required=True, help="File with rows as callers will send them; a template takes its keys.")
@click.option("--group-by", required=True, type=_Names(), help="Group columns, separated by commas.")
@click.option("--target", default="prediction", show_default=True, help="Name of what is predicted.")
@click.option("--features", type=_Names(), default="", help="Feature columns; default: every other column.")
@click.option("--classes", type=_Json(list), default=None, help="Of classifiers: every class, as a JSON array.")
@click.option("--unknown", default="null", show_default=True, help="Groups without a child: null, error or fallback.")
@click.option("--pin/--no-pin", default=False, help="Record the versions of now instead of following aliases.")
@click.option("--refresh", type=float, default=None, help="Seconds after which aliases are resolved again.")
@click.option("--rate", type=float, default=20.0, show_default=True, help="Requests a second, all workers together.")
@click.option("--deadline", type=float, default=10.0, show_default=True, help="Seconds an endpoint may take.")
@click.option("--root", multiple=True, help="Directory that file paths may point into; can be repeated.")
@click.option("--allow-private", is_flag=True, help="Allow endpoints at private and loopback addresses.")
@click.option("--register", default="", help="Register a version of the model under this name.")
@click.option("--alias", default="", help="Point this alias at the new version.")
@_json_option
def reference(
    search: str,
    follow: str,
    refresh: float | None,
    rate: float,
    deadline: float,
    root: tuple[str, ...],
    allow_private: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a model of children that are registered, or served, already: it refers to them."""
    with _at_work():
        from metamodel.references import ReferenceSettings
        from metamodel.referencing import reference_files

        settings = ReferenceSettings(
            refresh_seconds=refresh,
            requests_per_second=rate,
            deadline_seconds=deadline,
            roots=root,
            allow_private=allow_private,
        )
        facts = reference_files(search=search, follow=follow, settings=settings, **options)
    click.echo(_dumps(facts) if as_json else _section("referring model", facts))


@main.command("serve-check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@_json_option
def serve_check(file: str, as_json: bool) -> None:
    """Open a model that `pack --zip` wrote, as a server would, and load every child of it."""
    with _at_work():
        from metamodel import vendoring

        facts = vendoring.serve_check(file)
    click.echo(_dumps(facts) if as_json else _section("this file can be served", facts))


def _preview(result: Any, columns: list[str], rows: int = 6) -> pd.DataFrame:
    """Let the new model answer a few rows from all over the table; it is registered by now, so nothing may raise."""
    from metamodel.model import MetaModel

    some = result.data.iloc[:: max(1, len(result.data) // rows)].head(rows).reset_index(drop=True)
    policy = {} if result.manifest.unknown == "fallback" else {"unknown": "null"}
    answers = MetaModel(result.bundle_path).predict(some, policy)
    return pd.concat([some[columns], answers[["prediction", "status"]]], axis=1)


def _summary_text(summary: dict[str, Any]) -> str:
    """Put counts into words, and each metric on one line."""
    statuses = ", ".join(f"{summary[f'groups_{name}']:,} {name}" for name in ("fitted", "skipped", "failed"))
    lines = [
        f"groups            {summary['groups']:,}: {statuses}",
        f"rows              {summary['rows']:,}, {summary['rows_dropped']:,} more dropped for a null key; "
        f"{summary['duplicate_rows']:,} exact copies",
        f"sizes             {summary['group_rows_min']:,} to {summary['group_rows_max']:,} rows a group, median "
        f"{summary['group_rows_median']:,.0f}, Gini {summary['group_rows_gini']:.2f}",
        f"fallback          {summary['fallback_groups']:,} groups, {summary['fallback_row_share']:.2%} of the rows; "
        f"nobody answers {summary['unanswered_groups']:,} groups, {summary['unanswered_row_share']:.2%} of the rows",
        f"baseline          {summary['groups_above_baseline']:,} of {summary['groups_with_baseline']:,} groups beat it"
        + (f", median skill {summary['skill_median']:.3f}" if "skill_median" in summary else ""),
        f"model             {summary['model_bytes']:,} bytes, fitted in {summary['seconds_fitting']:,.1f} s of work, "
        f"{summary['parents_fitted']:,} parents included",
    ]
    metrics: dict[str, dict[str, float]] = {}
    for name, value in summary.items():
        metric, _, statistic = name.rpartition("_")
        if statistic in _STATISTICS:
            metrics.setdefault(metric, {})[statistic] = value
    table = pd.DataFrame.from_dict(metrics, orient="index", columns=list(_STATISTICS))
    return "\n".join(lines) + (f"\n\nOver the groups:\n{table.to_string(float_format=_number)}" if metrics else "")


def _number(value: float) -> str:
    return f"{value:,.4g}"


def _section(name: str, value: Any) -> str:
    if isinstance(value, pd.DataFrame):
        return f"{name}\n{_table(value)}"
    if isinstance(value, dict):
        return "\n".join([name, *(f"  {key:<26} {entry}" for key, entry in value.items())])
    return f"{name}: {value}"


def _table(frame: pd.DataFrame) -> str:
    return frame.to_string(index=False, max_colwidth=60, float_format=_number)


def _dumps(value: Any) -> str:
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def _plain(item: Any) -> Any:
    """Make JSON of it: numbers stay numbers, whatever is missing or infinite becomes null."""
    if isinstance(item, pd.DataFrame):
        return [_plain(row) for row in item.astype(object).to_dict(orient="records")]
    if isinstance(item, dict):
        return {str(name): _plain(entry) for name, entry in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(entry) for entry in item]
    item = item.item() if isinstance(item, np.generic) else item
    if item is None or pd.isna(item) or item in (math.inf, -math.inf):
        return None
    return item if isinstance(item, str | int | float) else str(item)


if __name__ == "__main__":
    sys.exit(main())
