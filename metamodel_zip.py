"""MLflow's entry point for packed models, ``zip:FILE`` (setup.cfg).

MLflow imports it whenever MLflow itself is imported, in every process on a machine with metamodel. It is no part of the
package for that reason: with the package imported already, a model could not use the code that travelled with it.
"""

from typing import Any

__all__ = ["open_store"]


def open_store(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
    """Make the artifact repository of a ``zip:`` URI; see `metamodel.flavor.zip_repository.open_store`."""
    from metamodel.flavor.zip_repository import open_store as open_packed

    return open_packed(artifact_uri, tracking_uri, registry_uri)
