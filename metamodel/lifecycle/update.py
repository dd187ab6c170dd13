"""Train the next version of a model: only the groups that need it, and as the model itself says it was trained."""

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from metamodel.bundle.carry.recipe import read_recipe
from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.opening import open_model
from metamodel.bundle.rollout.rollout_files import holds_model
from metamodel.common.messages import did_you_mean, listing
from metamodel.common.progress import say
from metamodel.exceptions import InputError
from metamodel.lifecycle.table_difference import table_difference
from metamodel.training.options.objects import flat_options
from metamodel.training.result import TrainingResult
from metamodel.training.train import train

__all__ = ["asked_of", "update"]


def update(
    model: MetaModel | str | Path,
    data: Any,
    *,
    retrain: Sequence[str] | str = ("new", "failed", "stale"),
    max_age: Any = None,
    min_new_rows: float | None = None,
    retrain_list: Any = None,
    challenge: bool = True,
    keep_missing: Any = "52w",
    **options: Any,
) -> TrainingResult:
    """Retrain a part of a model's groups on a new table, and carry the others over.

    Whatever is carried answers as before to the last bit: its child is the same bytes, and so are its numbers in the
    stacks, its interval and its weights.

    Parameters
    ----------
    model
        The version before: as `metamodel.load_model` opened it, or what that takes.
    data
        The new table, as for `metamodel.train`: all rows that a retrained child shall see, old and new ones.
    retrain, max_age, min_new_rows, retrain_list, keep_missing
        Which groups are retrained, as for `metamodel.train`; what stands in `retrain_list` is retrained in any case.
    challenge
        Whether the child that a retrained group had stays where the new one does not win against it on fresh rows.
    **options
        Options of `metamodel.train` that shall be otherwise than when the model was trained.

    Returns
    -------
    TrainingResult
        Of the whole new version; the ledger's `retrain_reason` says who was retrained and why.

    Raises
    ------
    InputError
        There is no such model, it does not say how it was trained, or its columns, features, target, classes or codec
        are others than those of the table; nothing was written.
    AllGroupsFailed
        No group could be fitted, and there was none to carry.

    Examples
    --------
    >>> from metamodel import train
    >>> from metamodel.datasets import make_store_sales
    >>> weeks = make_store_sales(n_stores=2, n_products=2, n_weeks=20, broken=False)
    >>> first = train(weeks[weeks["store"] == 1], ["store", "product"], "units", features=["price"], n_jobs=1)
    >>> second = update(first.bundle_path, weeks)
    >>> second.ledger[["store", "status", "retrain_reason"]].values.tolist()
    [[1, 'carried', ''], [1, 'carried', ''], [2, 'fitted', 'new'], [2, 'fitted', 'new']]
    """
    if difference := table_difference(model, data):
        say(difference)
    previous = model if isinstance(model, MetaModel) else _opened(model)
    rules = {"retrain": retrain, "max_age": max_age, "min_new_rows": min_new_rows, "retrain_list": retrain_list}
    asked = asked_of(previous, options)
    return train(data, **{**asked, **rules, "challenge": challenge, "keep_missing": keep_missing}, previous=previous)


def _opened(model: str | Path) -> MetaModel:
    """Open the version before; MLflow, whose import takes longer than many an update, only where it is needed."""
    if isinstance(model, str | Path) and holds_model(Path(model)):
        return open_model(model)
    from metamodel.flavor.load import load_model

    return load_model(model)


def asked_of(previous: MetaModel, options: Mapping[str, Any]) -> dict[str, Any]:
    """Complete options of a training by those that a model was trained with.

    Parameters
    ----------
    previous
        The model.
    options
        What shall be otherwise, by the names of `metamodel.train`.

    Raises
    ------
    InputError
        There is no such option, or the model does not say how it was trained.
    """
    known_names = [name for name in signature(train).parameters if name not in ("data", "previous")]
    if odd := [name for name in options if name not in known_names]:
        remedy = f"Use those of metamodel.train.{did_you_mean(odd, known_names)}"
        raise InputError(f"update has no option {listing(map(repr, odd))}. {remedy}")
    return read_recipe(previous.bundle, flat_options(options))
