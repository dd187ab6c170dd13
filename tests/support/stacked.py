"""What the tests of stacks share: three features, and stacks built of children and their rows."""

import io
import json
import os

import numpy as np
import pandas as pd

from metamodel.prediction.stacks.builder import StackBuilder
from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureSchema

NAMES = ["a", "b", "c"]
SCHEMA = FeatureSchema(tuple(Feature(name, "number", "float64") for name in NAMES), "array")


def built(children, samples, classes=()):
    builder = StackBuilder(SCHEMA, classes, {})
    for i, (child, x) in enumerate(zip(children, samples, strict=True)):
        builder.add(f'["{i}"]', "version", child, x)
    return list(builder.finish()), builder.refused


def matrix(seed, rows=40, missing=False):
    rng = np.random.default_rng(seed)
    x = rng.normal([0, 10, -5], [1, 3, 0.01], size=(rows, 3))
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


def training_table():
    x = np.concatenate([matrix(seed, 30) for seed in range(6)])
    table = pd.DataFrame(x, columns=NAMES).assign(y=x.sum(axis=1) + np.repeat(np.arange(6), 30) * x[:, 0])
    return table.assign(country=np.repeat(["FR", "DE"], 90), store=np.tile(np.repeat([1, 2, 3], 30), 2))


def section(bundle, array):
    """Where an array of the first stack is: (file, first byte, byte behind the last)."""
    place = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["stacks"][0]["sections"][array]
    return bundle / "stacks/00000.arrays", place["offset"], place["offset"] + place["size"]


def flip_last(bundle, array):
    """Damage the last byte of an array of the first stack."""
    path, _, end = section(bundle, array)
    flip(path, end - 1)


def keys_in_stack(bundle):
    """Encoded keys of the first stack, in its order."""
    path, start, end = section(bundle, "keys")
    return pd.read_parquet(io.BytesIO(path.read_bytes()[start:end]))["key"].tolist()


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def write_over(path):
    """Write into a file where it is, as `cp` does, at a time of its own."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(0, 0))  # whatever the resolution of the file system's clock
