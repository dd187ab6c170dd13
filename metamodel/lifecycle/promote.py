"""`metamodel.promote`: point an alias at a version, with who, when and why kept beside it."""

from pathlib import Path

from mlflow.entities.model_registry import ModelVersion

from metamodel.exceptions import GateFailed, InputError
from metamodel.flavor.registered import version_of
from metamodel.lifecycle.alias_moves import AliasMove, move_alias
from metamodel.lifecycle.gate_record import check_gate
from metamodel.tracking import registry
from metamodel.tracking.event_history import event_log
from metamodel.tracking.events import Event
from metamodel.tracking.registry_writes import set_version_tag

__all__ = ["APPROVAL_TAG", "promote"]

# A person may set it in MLflow's page; its value is the name.
APPROVAL_TAG = "metamodel.approved"

_NOTE_TAG = "metamodel.approval_note"

_LONGEST_NOTE = 500


def promote(  # noqa: PLR0913 - what has to be so, and who says it
    name: str,
    version: int | str,
    alias: str = "champion",
    *,
    expect: int | str | None = None,
    require_gate: bool = False,
    require_approval: bool = False,
    approved_by: str | None = None,
    note: str | None = None,
    auto: bool = False,
    history: str | Path | None = None,
) -> tuple[Event | None, bool]:
    """Point an alias at a version.

    Interrupted anywhere, the same call finishes what was begun. Of two promoters at once one comes after the other.

    Parameters
    ----------
    name, version
        The registered model, and the number of its version.
    alias
        What to point at it.
    expect
        Number of the version that the alias has to point at now.
    require_gate
        Insist on a gate that the version has passed, against what the alias points at now.
    require_approval
        Insist on an approval: the version's tag `metamodel.approved`, which a person may also set in MLflow's page.
    approved_by, note
        Give this approval now.
    auto
        Nobody looks: insist on the gate.
    history
        Folder or address of the history that gets the event, too; by default METAMODEL_HISTORY, if it is set.

    Returns
    -------
    event, moved : tuple of (Event or None, bool)
        What was recorded; False where the alias pointed there already.

    Raises
    ------
    InputError
        There is no such model or version, a name is none, the alias points elsewhere than expected, or nobody has
        approved the version.
    GateFailed
        A gate is asked for, and the version has not passed it.
    """
    registry.check_names(name, alias)
    log = event_log(history)
    if auto and approved_by:
        raise InputError("--auto means that nobody approves. Leave one of both out.")
    if note and not approved_by:
        raise InputError("A note belongs to an approval. Give --approved-by NAME too.")
    target = version_of(name, str(version))
    needs_gate = require_gate or auto
    if needs_gate:
        _gate_of(target, None if expect is None else str(expect))
    approver, said = target.tags.get(APPROVAL_TAG, ""), target.tags.get(_NOTE_TAG, "")
    if approved_by:
        approver, said = approved_by, note or ""
    if require_approval and not approver:
        raise InputError(
            f"Nobody has approved {name} {version}. Give --approved-by NAME, or set the version's tag {APPROVAL_TAG}."
        )

    def allowed(champion: str) -> str:
        digest = _gate_of(target, champion or None) if needs_gate else ""
        _approve(target, approved_by, note)  # when all else is right: a refusal leaves nothing behind
        return digest

    intended = Event.now(kind="promote", name=name, alias=alias, version=str(target.version), replaced="")
    move = AliasMove(
        intended.with_note(approver, said[:_LONGEST_NOTE]),
        None if expect is None else str(expect),
        allowed,
    )
    return move_alias(move, log)


def _gate_of(version: ModelVersion, champion: str | None) -> str:
    try:
        return check_gate(version, champion if champion != str(version.version) else None)
    except InputError as error:
        raise GateFailed(str(error)) from error


def _approve(version: ModelVersion, by: str | None, note: str | None) -> None:
    for tag, value in ((APPROVAL_TAG, by), (_NOTE_TAG, note)):
        if value:
            set_version_tag(version.name, version.version, tag, value[:_LONGEST_NOTE])
