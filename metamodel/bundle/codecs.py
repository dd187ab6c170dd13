"""A child to bytes and back: cloudpickle, joblib or skops.

Pickles run code when they are read. Where the environment forbids that
(``MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false``, MLflow's own switch), only skops bundles open.
"""

import gc
import importlib
import io
import os
import pickle
import sys
import tracemalloc
import weakref
import zipfile
from abc import ABC, abstractmethod
from functools import cache
from typing import Any

import numpy as np

from metamodel.common.extras import import_extra
from metamodel.common.fork_lock import ForkLock, not_during_fork
from metamodel.common.messages import listing, short
from metamodel.common.validation import one_of
from metamodel.exceptions import ForbiddenCodec

__all__ = ["CODECS", "Codec", "get_codec", "resident_factor"]

_ALLOW_PICKLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"

# What skops builds without asking, besides its own list: classes that these packages define, and scores that select
# features. Never a whole package: a crafted file may name any callable in it (`builtins.eval`) and have it called.
_TRUSTED_CLASSES = (
    "sklearn.",
    "xgboost.",
    "lightgbm.",
    "metamodel.fitting.target_encoder.",
    "metamodel.fitting.xgboost_classifier.",
    "scipy.interpolate.",
    "scipy.sparse.",
    "scipy.spatial.",
)

_TRUSTED_FUNCTIONS = ("sklearn.feature_selection.", "sklearn.metrics.")

# Others need to be named here, separated by commas.
_TRUSTED_TYPES = "METAMODEL_TRUSTED_TYPES"


class Codec(ABC):
    """Serializes children of one bundle."""

    name: str

    @abstractmethod
    def dumps(self, child: Any) -> bytes:
        """Serialize a child."""

    @abstractmethod
    def loads(self, blob: bytes) -> Any:
        """Deserialize a child."""

    def classes(self, blob: bytes) -> frozenset[type] | None:
        """Load a child, and give the classes that it names; None where that does not tell of what classes it is."""
        self.loads(blob)
        return None

    def check_allowed(self) -> None:  # noqa: B027 - most codecs are allowed everywhere
        """Raise `ForbiddenCodec` where the environment does not allow this codec to read."""


class _PickleCodec(Codec):
    def check_allowed(self) -> None:
        setting = os.environ.get(_ALLOW_PICKLE, "true")
        if setting.lower() not in ("true", "1"):  # the words that MLflow knows; it raises at what is neither yes nor no
            raise ForbiddenCodec(
                f"The children of this bundle are {self.name} pickles and {_ALLOW_PICKLE} is {short(setting)}, not "
                'true. Train with codec="skops", or set it to true where you trust the bundle.'
            )


class CloudpickleCodec(_PickleCodec):
    """cloudpickle to write (it also takes lambdas and classes of a notebook), plain pickle to read."""

    name = "cloudpickle"

    def dumps(self, child: Any) -> bytes:
        """Serialize with pickle protocol 5."""
        from metamodel.bundle.canonical_pickle import dumps

        return dumps(child)

    def loads(self, blob: bytes) -> Any:
        """Unpickle."""
        return pickle.loads(blob)

    def classes(self, blob: bytes) -> frozenset[type] | None:
        """Load a child, and give the classes that it names; None where it brings a class of a notebook along."""
        reader = _NamedClasses(io.BytesIO(blob))
        reader.load()
        return frozenset(reader.named) if reader.all_are_named else None


class _NamedClasses(pickle.Unpickler):
    """Unpickles, and keeps the classes that are named."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.named: set[type] = set()
        self.all_are_named = True

    def find_class(self, module: str, name: str) -> Any:
        """Find what is named, as every unpickling does."""
        found = super().find_class(module, name)
        if isinstance(found, type):
            self.named.add(found)
        self.all_are_named &= not module.startswith("cloudpickle")  # its functions make classes
        return found


class JoblibCodec(_PickleCodec):
    """joblib's own format."""

    name = "joblib"

    def dumps(self, child: Any) -> bytes:
        """Serialize with joblib, uncompressed."""
        import joblib

        buffer = io.BytesIO()
        joblib.dump(child, buffer)
        return buffer.getvalue()

    def loads(self, blob: bytes) -> Any:
        """Load with joblib."""
        import joblib

        return joblib.load(io.BytesIO(blob))


class SkopsCodec(Codec):
    """skops: no code runs on reading, and only trusted types are built."""

    name = "skops"

    def dumps(self, child: Any) -> bytes:
        """Serialize, and refuse at once what could not be read back."""
        from skops.io import dumps

        blob: bytes = dumps(child)
        self._trusted(blob)
        return blob

    def loads(self, blob: bytes) -> Any:
        """Build a child from trusted types alone."""
        from skops.io import loads

        with zipfile.ZipFile(io.BytesIO(blob)) as archive:  # skops stores, and does not compress
            if sum(part.file_size for part in archive.infolist()) > len(blob):
                raise ForbiddenCodec("A child grows when it is unpacked, and skops writes no such. Restore the bundle.")
        return loads(blob, trusted=self._trusted(blob))

    def types_to_trust(self, child: Any) -> list[str]:
        """Types inside a child that skops builds only where it is told to trust them."""
        from skops.io import dumps

        return self._trusted(dumps(child))

    @staticmethod
    def _trusted(blob: bytes) -> list[str]:
        from skops.io import get_untrusted_types

        named = {name for name in os.environ.get(_TRUSTED_TYPES, "").split(",") if name}
        found = get_untrusted_types(data=blob)
        foreign = [name for name in found if name not in named and not _is_trusted(name)]
        if foreign:
            raise ForbiddenCodec(
                f"skops does not trust the type {listing(foreign)} inside a child. "
                f"Set {_TRUSTED_TYPES}={','.join(foreign)} where you trust its code, or use another codec."
            )
        return list(found)


@cache
def _is_trusted(name: str) -> bool:
    if not name.startswith((*_TRUSTED_CLASSES, *_TRUSTED_FUNCTIONS)):
        return False
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    # Defined there, not merely imported there.
    if getattr(found, "__module__", None) != module:
        return False
    return isinstance(found, type) or name.startswith(_TRUSTED_FUNCTIONS)


CODECS: dict[str, type[Codec]] = {codec.name: codec for codec in (CloudpickleCodec, JoblibCodec, SkopsCodec)}


def get_codec(name: str) -> Codec:
    """Look a codec up by name.

    Examples
    --------
    >>> codec = get_codec("cloudpickle")
    >>> codec.loads(codec.dumps({"alpha": 1.0}))
    {'alpha': 1.0}
    """
    one_of("codec", name, tuple(CODECS))
    if name == "skops":
        import_extra("skops", "codec='skops'", "skops.io")
    return CODECS[name]()


# Tracing is a state of the whole process: one thread's end of it would spoil another one's measurement.
_tracing = ForkLock()

# So many loads it takes until objects of a class take no less than the one before; those of large children come in
# numbers.
_WARM_LOADS, _SMALL = 40, 2**16

# Classes of children that were loaded so often: it is the class that changes, for all objects that come later.
_warm: "weakref.WeakSet[type]" = weakref.WeakSet()

_DIGITS = 1

# As many headers of arrays NumPy keeps for the next time, of these numbers of dimensions.
_SPARE_ARRAYS, _DIMENSIONS = 8, range(1, 5)


def resident_factor(codec: Codec, blob: bytes) -> float:
    """Bytes of memory that a loaded child takes for each byte of its blob (at least 1), measured by loading it.

    What the interpreter happens to keep is not counted, so that a training that is repeated writes the same figure.

    Parameters
    ----------
    codec, blob
        The serialized child. Imports and caches of a first load are not the child's: it is loaded before, too.
    """
    # Tracing counts what every thread allocates, so no other child is loaded or let go meanwhile.
    with not_during_fork(), _tracing:
        _load_before(codec, blob)
        taken = _taken(codec, blob)
    return max(1.0, round(taken / max(1, len(blob)), _DIGITS))


def _load_before(codec: Codec, blob: bytes) -> None:
    """Load a child until its objects take no less than the one before."""
    classes = codec.classes(blob)
    if len(blob) > _SMALL or (classes and all(known in _warm for known in classes)):
        return
    for _ in range(_WARM_LOADS):
        codec.loads(blob)
    _warm.update(classes or ())


def _taken(codec: Codec, blob: bytes) -> int:
    """Bytes of one load; what another thread allocates now and then is hardly in both."""
    return min(_traced_load(codec, blob), _traced_load(codec, blob))


def _traced_load(codec: Codec, blob: bytes) -> int:
    """Count the bytes that one load takes and keeps."""
    _forget_spare_objects()
    _forget_names()
    spare = [np.empty((1,) * dimensions) for dimensions in _DIMENSIONS for _ in range(_SPARE_ARRAYS)]
    was_tracing = tracemalloc.is_tracing()  # by the caller, who wants to go on
    if not was_tracing:
        tracemalloc.start()
    try:
        bytes_before, _ = tracemalloc.get_traced_memory()
        child = codec.loads(blob)
        _forget_names()
        bytes_after, _ = tracemalloc.get_traced_memory()
    finally:
        if not was_tracing:
            tracemalloc.stop()
    del child, spare
    return bytes_after - bytes_before


def _forget_spare_objects() -> None:
    """Give back the small objects that the interpreter keeps for the next time: what is made of them is not counted.

    Only a full collection does so; with all that is there set aside, it has nothing to look through. What the caller
    had set aside is looked through by later collections again, which costs him time and nothing else.
    """
    gc.freeze()
    gc.collect()
    gc.unfreeze()


def _forget_names() -> None:
    """Let the interpreter's cache of attributes go, which holds the names that it was last asked for.

    Those that unpickling makes are among them, for as long as another name does not take their place; which one does
    depends on where in memory it lies, and so on chance.
    """
    # 3.13 has the first; the second is deprecated from there on. Other interpreters have neither, nor this cache.
    clear = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    if clear is not None:
        clear()
