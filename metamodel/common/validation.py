"""What the value of an option may be: the checks that many options share."""

from typing import TypeGuard

from metamodel.common.messages import did_you_mean, short
from metamodel.exceptions import UnknownChoice

__all__ = ["is_number", "is_whole", "one_of"]


def one_of(option: str, value: object, allowed: tuple[str, ...]) -> None:
    """Insist on one of a few words.

    Examples
    --------
    >>> one_of("codec", "zip", ("cloudpickle", "joblib"))
    Traceback (most recent call last):
    metamodel.exceptions.UnknownChoice: codec='zip' is unknown. Use one of: cloudpickle, joblib.
    """
    if value not in allowed:
        remedy = f"Use one of: {', '.join(allowed)}.{did_you_mean(value, allowed)}"
        raise UnknownChoice(
            f"{option}={short(value)} is unknown. {remedy}", f"{option} has a value that is unknown. {remedy}"
        )


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is an integer or a float; true and false are none.

    Examples
    --------
    >>> is_number(0.5), is_number(True), is_number("7")
    (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Whether a value is an integer of at least so much; true and false are none.

    Examples
    --------
    >>> is_whole(7, least=1), is_whole(7.0, least=1), is_whole(True, least=1), is_whole(0, least=1)
    (True, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
