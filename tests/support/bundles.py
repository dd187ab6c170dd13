"""Bundles that somebody changed: by hand and with a new proof, or a byte at a time."""

import hashlib
import json
from pathlib import Path
from typing import Any


def prove_again(bundle: Path, content: bytes) -> None:
    """Give a bundle another manifest, with the digest that it ought to have."""
    (bundle / "manifest.json").write_bytes(content)
    (bundle / "manifest.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  manifest.json\n")


def change_manifest(bundle: Path, **changes: Any) -> None:
    """Change fields of a bundle's manifest, and prove it again; None takes a field away."""
    described = json.loads((bundle / "manifest.json").read_text(encoding="utf-8")) | changes
    kept = {name: value for name, value in described.items() if value is not None}
    prove_again(bundle, json.dumps(kept).encode())


def flip(path: Path, position: int, bits: int = 0xFF) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= bits
    path.write_bytes(content)
