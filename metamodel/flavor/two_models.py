"""Whether two models can stand behind one `predict`."""

from collections.abc import Iterator

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import listing
from metamodel.exceptions import InputError
from metamodel.flavor.environment import recorded_environment
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.routing import output_columns

__all__ = ["check_fit"]


def check_fit(champion: MetaModel, challenger: MetaModel) -> None:
    """Insist on two models that answer the same rows in the same form.

    Raises
    ------
    InputError
        They do not.
    """
    if differing := list(_differing(champion, challenger)):
        raise InputError(
            f"The two models do not fit together: the challenger has other {listing(differing)}. "
            "Roll out a version that was trained with the same."
        )


def _differing(champion: MetaModel, challenger: MetaModel) -> Iterator[str]:
    before, now = champion.manifest, challenger.manifest
    detailed = PredictOptions(detail=True)
    environments = [recorded_environment(model).digest() for model in (champion, challenger)]
    pairs = {
        "group columns": (before.keys, now.keys),
        "features": (before.features, now.features),
        "target, task or classes": (before.target, now.target),
        "columns of answers": tuple(output_columns(model.route, detailed) for model in (champion, challenger)),
        "methods": (before.methods, now.methods),
        "code or packages": tuple(environments),
    }
    yield from (name for name, (one, other) in pairs.items() if one != other)
