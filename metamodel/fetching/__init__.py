"""Get models and children from where they live: whole models once a process, referenced children politely."""

from metamodel.fetching.models import load_model, open_bundle

__all__ = ["load_model", "open_bundle"]
