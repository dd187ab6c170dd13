"""Pseudonyms of those whom rows are about: a keyed hash, so that only who has the key can find anybody's rows.

The key is no part of the log. Without it a pseudonym says nothing, not even to who could guess the entity.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from metamodel.tables.key_values import KeyValue, converted_to, is_null
from metamodel.tables.keys import encode_key

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
    """Give every row's entity its pseudonym; None where a column has no value."""
    cells = [values.get(name, [None] * n_rows) for name in columns]
    made: dict[str, str] = {}
    names: list[str | None] = []
    for row in zip(*cells, strict=True):
        text = entity_text(row)
        if text and text not in made:
            made[text] = pseudonym(text, secret)
        names.append(made[text] if text else None)
    return names


def entity_text(values: Sequence[Any]) -> str:
    """Encode an entity; "" where a value is missing. pandas makes floats of whole numbers: 7.0 is 7.

    Examples
    --------
    >>> entity_text([7.0, "FR"]), entity_text(["7", "FR"]), entity_text([None, "FR"])
    ('[7,"FR"]', '["7","FR"]', '')
    """
    if any(is_null(value) for value in values):
        return ""
    return encode_key(tuple(map(_canonical, values)))


def _canonical(value: Any) -> KeyValue:
    for kind in ("string", "boolean", "integer"):
        if (converted := converted_to(kind, value)) is not None:
            return converted
    return str(value)
