"""What the tests of stacks share: three features, and stacks built of children and their rows."""

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
