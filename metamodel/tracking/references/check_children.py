"""Look at children before they are referred to: each must exist, load here, and take the meta-model's rows."""

import importlib.util
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlparse

from mlflow.models import Model

from metamodel.bundle.ledger_queries import keys_of
from metamodel.bundle.manifest import MANIFEST_DIGEST_NAME, MANIFEST_NAME
from metamodel.bundle.reader import LEDGER_NAME, Bundle
from metamodel.bundle.references import Reference, ReferenceSettings
from metamodel.common.group_status import WITH_CHILD
from metamodel.common.messages import count, listing
from metamodel.common.progress import progress_bar
from metamodel.common.temp_dirs import temporary_directory
from metamodel.common.uris import is_endpoint, is_local, local_path, redacted
from metamodel.exceptions import BundleError, InputError, UnreadableBundle
from metamodel.flavor.remote import one_line
from metamodel.flavor.remote.aliases import resolve_place
from metamodel.flavor.remote.child_files import files_of, group_columns
from metamodel.flavor.remote.endpoint import objection_of
from metamodel.flavor.remote.loader import fetch_description, fetch_files, throttle_of
from metamodel.flavor.remote.mlmodel import bundle_path, inside
from metamodel.tables.features import FeatureSchema
from metamodel.tables.keys import GroupKey, KeySchema, encode_key, encode_keys

__all__ = ["CheckedChild", "check_children"]

# Flavor → the package that loads it, where the names differ.
_PACKAGES = {"pytorch": "torch", "keras": "keras", "spark": "pyspark", "sentence_transformers": "sentence_transformers"}

_SHOWN = 50


@dataclass(frozen=True)
class CheckedChild:
    """A child that can be referred to.

    Parameters
    ----------
    key
        Canonical key.
    reference
        Where it is.
    flavor
        How it will be loaded: "sklearn", "pyfunc", "bundle" or "endpoint".
    packages
        What its flavor imports.
    size
        Bytes of its files, 0 where nobody says.
    """

    key: GroupKey
    reference: Reference
    flavor: str
    packages: tuple[str, ...] = ()
    size: int = 0


@dataclass(frozen=True)
class _Found:
    """What is at a URI; `groups` are the encoded keys that another meta-model has children for."""

    reference: Reference
    flavor: str
    packages: tuple[str, ...] = ()
    size: int = 0
    groups: frozenset[str] | None = None

    def child(self, key: GroupKey) -> CheckedChild:
        """Return it as the child of a group."""
        if self.groups is not None and encode_key(key) not in self.groups:
            raise _Problem("that meta-model has no child for the group")
        return CheckedChild(key, self.reference, self.flavor, self.packages, self.size)


class _Problem(Exception):
    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def check_children(
    uris: Mapping[GroupKey, str], keys: KeySchema, features: FeatureSchema, settings: ReferenceSettings, *, pin: bool
) -> list[CheckedChild]:
    """Check every child, throttled and side by side.

    Parameters
    ----------
    uris
        Canonical key → where its child shall be.
    keys, features
        Of the meta-model.
    settings
        What may be referred to, and how fast the server may be asked.
    pin
        Replace aliases by the versions that they name now.

    Returns
    -------
    list of CheckedChild
        In the order of `uris`.

    Raises
    ------
    InputError
        One report of all that is wrong.
    """
    check = _Check(features, settings, pin, keys)
    problems: dict[str, list[str]] = defaultdict(list)
    checked = []
    with ThreadPoolExecutor(settings.concurrency) as executor, progress_bar(len(uris), "checking") as bar:
        asking = {uri: key for key, uri in uris.items()}  # several groups may share a URI, which is looked at once
        futures = {uri: executor.submit(check.found, key, uri) for uri, key in asking.items()}
        try:
            for key, uri in uris.items():
                try:
                    checked.append(futures[uri].result().child(key))
                except _Problem as problem:
                    problems[problem.kind].append(f"{key} → {redacted(uri)}")
                bar.update()
        finally:  # where this process is told to stop
            executor.shutdown(wait=False, cancel_futures=True)
    if problems:
        raise InputError(_report(problems, len(uris)))
    return checked


def _report(problems: Mapping[str, Sequence[str]], total: int) -> str:
    wrong = sum(len(entries) for entries in problems.values())
    facts = ". ".join(f"{kind[:1].upper()}{kind[1:]}: {listing(found, _SHOWN)}" for kind, found in problems.items())
    return (
        f"{wrong:,} of {count(total, 'reference')} cannot be used, so nothing was registered. {facts}. "
        "Correct or leave out these, and try again."
    )


@dataclass(frozen=True)
class _Check:
    features: FeatureSchema
    settings: ReferenceSettings
    pin: bool
    keys: KeySchema

    def found(self, key: GroupKey, uri: str) -> _Found:
        if objection := self.settings.objection(uri):
            raise _Problem(objection)
        if is_endpoint(uri):
            if objection := objection_of(uri, self.settings):
                raise _Problem(objection)
            return _Found(Reference(uri, "endpoint"), "endpoint")
        encoded = encode_key(key)
        place = uri if is_local(uri) else self._place(encoded, uri)
        if objection := self.settings.objection_behind(uri, place):
            raise _Problem(objection)
        with temporary_directory("check") as directory:
            path = local_path(place) if is_local(place) else directory
            if (path / MANIFEST_NAME).is_file():
                raise _Problem("a bare bundle; refer to the logged model that holds it")
            model = self._described(encoded, place, path)
            reference = Reference(uri, place=place if self.pin or not _is_alias(uri) else "")
            if (bundle := bundle_path(model)) is None:
                return self._of_model(reference, model)
            self._fetch_facts(encoded, place, path, bundle)
            return self._of_bundle(reference, path / bundle)

    def _place(self, encoded: str, uri: str) -> str:
        try:
            return throttle_of(uri, self.settings).call(encoded, lambda: resolve_place(uri), uri)
        except Exception as error:  # a store's client raises whatever it likes
            raise _Problem(f"not found ({_general(one_line(error), uri)})") from error

    def _described(self, encoded: str, place: str, path: Path) -> Model:
        try:
            if is_local(place):
                return Model.load(str(path))
            return fetch_description(throttle_of(place, self.settings), encoded, place, path)
        except Exception as error:  # a store's client raises whatever it likes, and an MLmodel may hold anything
            raise _Problem(f"no MLflow model can be read there ({_general(one_line(error), place)})") from error

    def _of_model(self, reference: Reference, model: Model) -> _Found:
        try:
            files_of(model)
        except UnreadableBundle as error:
            raise _Problem(str(error).rstrip(".")) from error
        packages = self._packages(model)
        self._check_signature(model)
        flavor = "sklearn" if "sklearn" in model.flavors else "pyfunc"
        return _Found(reference, flavor, packages, int(model.model_size_bytes or 0))

    def _fetch_facts(self, encoded: str, place: str, path: Path, bundle: str) -> None:
        """Fetch what a bundle says of itself, and its list of groups."""
        if is_local(place):
            return
        try:
            names = (MANIFEST_NAME, MANIFEST_DIGEST_NAME, LEDGER_NAME)
            needed = [inside(f"{bundle}/{name}") for name in names]
            fetch_files(throttle_of(place, self.settings), encoded, place, path, (needed, []))
        except Exception as error:  # a store's client raises whatever it likes
            raise _Problem(f"its bundle cannot be read ({_general(one_line(error), place)})") from error

    def _of_bundle(self, reference: Reference, path: Path) -> _Found:
        try:
            bundle = Bundle(path)
            ledger = bundle.read_ledger([*bundle.manifest.keys.names, "level", "status"])
        except BundleError as error:
            raise _Problem(f"its bundle cannot be read ({str(error).rstrip('.')})") from error
        if bundle.references is not None:
            raise _Problem("a model that refers to others itself; refer to its children")
        theirs, mine = group_columns(bundle.manifest.keys), group_columns(self.keys)
        if theirs != mine:
            raise _Problem(f"that meta-model's group columns are {theirs}, not {mine}")
        self._check_names(bundle.manifest.features.names, bundle.manifest.features.names)
        fitted = ledger[ledger["status"].isin(WITH_CHILD)]
        groups = frozenset(encode_keys(keys_of(fitted, bundle.manifest.keys)))
        return _Found(replace(reference, kind="bundle"), "bundle", groups=groups)

    def _packages(self, model: Model) -> tuple[str, ...]:
        loader = str(model.flavors.get("python_function", {}).get("loader_module", ""))
        if "sklearn" not in model.flavors and not loader:
            raise _Problem(f"no flavor that can be loaded here ({listing(model.flavors)})")
        named = [name for name in model.flavors if name != "python_function"] if "sklearn" not in model.flavors else []
        packages = tuple(_PACKAGES.get(name, name) for name in named) or (("sklearn",) if not loader else ())
        modules = [*packages, *([loader.partition(".")[0]] if loader else [])]
        if missing := [name for name in modules if not name.startswith("mlflow") and not _is_installed(name)]:
            raise _Problem(f"the flavor {listing(missing)} is not installed")
        return packages or ("sklearn",)

    def _check_signature(self, model: Model) -> None:
        inputs = model.signature.inputs if model.signature is not None else None
        if inputs is not None and inputs.has_input_names():
            self._check_names(inputs.input_names(), inputs.required_input_names())

    def _check_names(self, known: Sequence[str], required: Sequence[str]) -> None:
        mine = set(self.features.names)
        if lacking := sorted(mine - set(known)):
            raise _Problem(f"the signature lacks the feature {listing(map(repr, lacking))}")
        if needed := sorted(set(required) - mine):
            raise _Problem(f"the signature asks for {listing(map(repr, needed))}, which the rows do not have")


def _is_alias(uri: str) -> bool:
    """Whether a URI may lead elsewhere later: an alias, a stage, or the latest version, in whatever case.

    Examples
    --------
    >>> [_is_alias(f"models:/{name}") for name in ("sales@champion", "sales/Latest", "sales/Staging", "sales/3", "m-1")]
    [True, True, True, False, False]
    """
    parsed = urlparse(uri)
    _, _, version = parsed.path.strip("/").partition("/")
    return parsed.scheme == "models" and ("@" in parsed.path or (version != "" and not version[0].isdecimal()))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _general(reason: str, uri: str) -> str:
    """Leave out what differs between children, so that one kind of problem is reported once."""
    path = urlparse(uri).path.strip("/")
    for differing in (uri, path, path.partition("@")[0].partition("/")[0]):
        reason = reason.replace(differing, "…") if differing else reason
    return reason
