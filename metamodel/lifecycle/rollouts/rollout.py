"""`metamodel.rollout`: a champion and what a challenger has otherwise, logged as one model."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.rollout_files import write_rollout
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.common.temp_dirs import temporary_directory
from metamodel.exceptions import InputError
from metamodel.flavor.environment import recorded_environment
from metamodel.flavor.load import load_model, open_bundle
from metamodel.flavor.pyfunc_args import recorded_defaults
from metamodel.flavor.registered import Named, named_version
from metamodel.flavor.two_models import check_fit
from metamodel.lifecycle.alias_moves import AliasMove, move_alias
from metamodel.prediction.rollout.rollout_plan import Mode, Rollout, Unit
from metamodel.tracking import registry
from metamodel.tracking.event_history import event_log
from metamodel.tracking.events import Event
from metamodel.tracking.log_bundle import log_bundle
from metamodel.tracking.pack_children import recorded_example
from metamodel.tracking.registry_writes import set_version_tag

__all__ = ["ROLLOUT_TAG", "RolledOut", "log_rollout", "rollout"]

# Of a version that is a roll-out: mode, fraction and both models.
ROLLOUT_TAG = "metamodel.rollout"

_SALT_CHARACTERS = 12


@dataclass(frozen=True)
class RolledOut:
    """A roll-out that was logged.

    Attributes
    ----------
    model_uri
        Of the logged model.
    name, version
        Of the registered version; "" without one.
    rollout
        Mode, fraction, units, and both models.
    differing
        Groups and parents that the challenger has otherwise; -1 where its bundle was taken as it is.
    event
        Of the alias that points at it now; None without.
    """

    model_uri: str
    name: str
    version: str
    rollout: Rollout
    differing: int
    event: Event | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "model_uri": self.model_uri,
            "name": self.name,
            "version": self.version,
            **self.rollout.to_dict(),
            "differing": self.differing,
            "event": None if self.event is None else self.event.to_dict(),
        }


def rollout(  # noqa: PLR0913 - each says one thing of it
    champion: Any,
    challenger: Any,
    mode: Mode = "shadow",
    fraction: float = 0.1,
    entity: Sequence[str] | str | None = None,
    *,
    unit: Unit = "entity",
    salt: str = "",
    patience: float = 2.0,
    register: str | None = None,
    alias: str | None = None,
) -> RolledOut:
    """Log ONE model that holds a champion, and of a challenger what it has otherwise.

    Parameters
    ----------
    champion, challenger
        MLflow URIs, paths or `MetaModel`: two versions of one model, with the same groups' columns, features, target
        and answers.
    mode
        "shadow": the champion answers, and what the challenger would have said is logged. "ab" or "canary": each unit
        has its model. "interleave": both answers are shown, `prediction` and `prediction_other`.
    fraction
        Share of the units that the challenger has; of no meaning with "shadow" and "interleave".
    entity
        Columns that name a unit, as ``name`` or ``name:kind`` (string, integer, boolean, date, timestamp). They join
        the signature. A row in which one is null is the champion's.
    unit
        "entity", or "group": whole groups have their model.
    salt
        Deals the units; by default made of the challenger, so that each challenger meets other units.
    patience
        Seconds that a server waits for the challenger; then the champion answers.
    register, alias
        Register a version under this name, and point this alias at it, as `metamodel.promote` does.

    Returns
    -------
    RolledOut

    Raises
    ------
    InputError
        The models do not fit together, or one is a roll-out already; an option is wrong.
    """
    registry.check_names(register, alias)
    Rollout.of(entity, mode=mode, fraction=fraction, unit=unit, salt=salt, patience=patience)  # before anything is read
    (first, named_first), (second, named_second) = _opened(champion), _opened(challenger)
    check_fit(first, second)
    described = Rollout.of(
        entity,
        mode=mode,
        fraction=fraction,
        unit=unit,
        salt=salt or second.digest[:_SALT_CHARACTERS],
        patience=patience,
        champion=named_first.facts(first.digest),
        challenger=named_second.facts(second.digest),
    )
    with temporary_directory("rollout") as directory:
        place = directory / "bundle"
        differing = write_rollout(first.bundle, second.bundle, described, place)
        return log_rollout(place, first, differing, register, (alias or "", None))


def log_rollout(
    place: Path, champion: MetaModel, differing: int, register: str | None, alias: tuple[str, str | None]
) -> RolledOut:
    """Log a roll-out that was written.

    Parameters
    ----------
    place
        Its directory.
    champion
        The model whose example, environment and defaults it has.
    differing
        Groups in which the models differ.
    register
        Name of the registered model; None for no version.
    alias
        Which alias to point at the version, "" for none; and where that has to point now, None for anywhere.
    """
    model = open_bundle(place, defaults=recorded_defaults(champion))
    assert isinstance(model, RolloutModel)  # it was just written
    example, environment = recorded_example(champion), recorded_environment(champion)
    info = log_bundle(model, example, "model", register, None, environment=environment)
    version, event = str(info.registered_model_version or ""), None
    if register:
        facts = json.dumps(model.rollout.to_dict(), ensure_ascii=False)
        set_version_tag(register, version, ROLLOUT_TAG, facts)
        name, expect = alias
        if name:
            intended = Event.now(kind="rollout", name=register, alias=name, version=version, replaced="")
            event, _ = move_alias(AliasMove(intended, expect, lambda _: ""), event_log())
    return RolledOut(info.model_uri, register or "", version, model.rollout, differing, event)


def _opened(model: Any) -> tuple[MetaModel, Named]:
    named = named_version(model)
    opened = model if isinstance(model, MetaModel) else load_model(named.uri)
    if isinstance(opened, RolloutModel):
        raise InputError(f"{named.uri} is a roll-out already. Raise, end or promote that one, or name another model.")
    return opened, named
