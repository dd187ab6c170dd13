"""Pseudonyms of those whom rows are about: a keyed hash, so that only who has the key can find anybody's rows.

The key is no part of the log. Without it a pseudonym says nothing, not even to who could guess the entity.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from metamodel.prediction.rollout.units import EntityColumn, entity_units

__all__ = ["entity_text", "pseudonym", "pseudonyms"]


def pseudonym(text: str, secret: str) -> str:
    """Give an entity its pseudonym: the first 128 bits of HMAC-SHA256 in hexadecimal digits.

    Examples
    --------
    >>> pseudonym('["c-17"]', "a long random text")
    '28f7118564166ef2ad69ec891ddb06ed'
    """
    return hmac.new(secret.encode(), text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:32]


def pseudonyms(
    columns: Sequence[str], values: Mapping[str, Sequence[Any]], secret: str, n_rows: int
) -> list[str | None]:
    """Give every row's entity its pseudonym; None where a column has no value, or one that names nobody.

    Who an entity is, is one rule for the log and for roll-outs, see `metamodel.prediction.rollout.units`.
    """
    units = entity_units([EntityColumn(name) for name in columns], values, n_rows)
    made = [pseudonym(text, secret) if text else None for text in units.texts]
    return [made[code] for code in units.codes.tolist()]


def entity_text(values: Sequence[Any]) -> str:
    """Encode an entity; "" where a value is missing, or names nobody. pandas makes floats of whole numbers: 7.0 is 7.

    Examples
    --------
    >>> entity_text([7.0, "FR"]), entity_text(["7", "FR"]), entity_text([None, "FR"]), entity_text([7.5, "FR"])
    ('[7,"FR"]', '["7","FR"]', '', '')
    """
    columns = [EntityColumn(str(i)) for i in range(len(values))]
    return entity_units(
        columns, {column.name: [value] for column, value in zip(columns, values, strict=True)}, 1
    ).texts[0]
