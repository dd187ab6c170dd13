"""What the tests of stacks share: three features, and stacks built of children and their rows."""

from metamodel.feature_columns import Feature
from metamodel.features import FeatureSchema
from metamodel.stacking.building import StackBuilder

NAMES = ["a", "b", "c"]
SCHEMA = FeatureSchema(tuple(Feature(name, "number", "float64") for name in NAMES), "array")


def built(children, samples, classes=()):
    builder = StackBuilder(SCHEMA, classes, {})
    for i, (child, x) in enumerate(zip(children, samples, strict=True)):
        builder.add(f'["{i}"]', "version", child, x)
    return list(builder.finish()), builder.refused
