"""A challenger that is served beside the model: the two are opened one by one, and no roll-out was logged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.exploring_model import exploring
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError
from metamodel.flavor.load import load_model
from metamodel.flavor.two_models import check_fit
from metamodel.prediction.rollout.rollout_plan import Rollout
from metamodel.serving.refresh import version_now

__all__ = ["Challenge", "ControlGroup"]

_SALT_CHARACTERS = 12


@dataclass(frozen=True)
class Challenge:
    """What `metamodel serve --challenger` was asked for.

    Parameters
    ----------
    model
        URI or path of the challenger.
    entity
        As for `metamodel.rollout`.
    choices
        mode, fraction, unit, salt and patience, as for `metamodel.rollout`.
    """

    model: str
    entity: Sequence[str] | None = None
    choices: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Rollout.of(self.entity, **self.choices)  # before a model is opened

    @property
    def followed(self) -> tuple[str, ...]:
        """URIs of models beside the one that is served, whose aliases may move."""
        return (self.model,)

    @property
    def words(self) -> str:
        """What is said where the server says that it listens."""
        return f" with {redacted(self.model)} beside it"

    def beside(self, champion: MetaModel, version: str) -> RolloutModel:
        """Open the challenger beside a champion, of which the registered version is known, or "".

        Raises
        ------
        InputError
            There is no such model, they do not fit together, or the champion is a roll-out.
        """
        if isinstance(champion, RolloutModel):
            raise InputError("The model is a roll-out, which has a challenger already. Serve it without --challenger.")
        number = version_now(self.model)
        challenger = load_model(f"models:/{number}" if number else self.model)
        check_fit(champion, challenger)
        challenger.warm_up()
        salt = self.choices.get("salt") or challenger.digest[:_SALT_CHARACTERS]
        facts = {
            "champion": _facts(version, champion),
            "challenger": _facts(number, challenger, self.model),
        }
        rollout = Rollout.of(self.entity, **{**self.choices, "salt": salt}, **facts)
        return RolloutModel(champion, challenger, rollout)


@dataclass(frozen=True)
class ControlGroup:
    """What `metamodel serve --explore` was asked for: parents answer a share of the entities.

    Parameters
    ----------
    share
        Of the entities; 0 for none, whatever the training recorded.
    entity
        Columns that name one; empty for those that the training recorded.
    """

    share: float
    entity: Sequence[str] = ()

    @property
    def followed(self) -> tuple[str, ...]:
        """URIs of models beside the one that is served: there is none."""
        return ()

    @property
    def words(self) -> str:
        """What is said where the server says that it listens."""
        return f" (parents answer {self.share:g} of the entities)" if self.share else ""

    def beside(self, model: MetaModel, version: str) -> MetaModel:
        """Let the parents of a model answer their share; raises as `exploring` does."""
        del version
        return exploring(model, self.share, self.entity)


def _facts(registered: str, model: MetaModel, place: str = "") -> dict[str, str]:
    """Tell of a model what is known: its registered version, as ``sales/8``, or where it came from."""
    name, _, version = registered.rpartition("/")
    return {"uri": registered or place, "name": name, "version": version, "digest": model.digest}
