"""Trees in any order of nodes become trees in preorder, in which every row ends in the same leaf."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.prediction.stacks.tree_layout import flat_trees

pytestmark = pytest.mark.tableless

N_FEATURES = 3


def grown(random, n_leaves, stray):
    """A random tree as lists: feature (-1 in a leaf), left, right, threshold, value; nodes in any order, root first."""
    leaves, children = [0], {}
    size = 1
    while len(leaves) < n_leaves:
        node = leaves.pop(random.randrange(len(leaves)))
        children[node] = (size, size + 1)
        leaves += [size, size + 1]
        size += 2
    total = size + stray  # nodes that nobody leads to
    names = [0, *random.sample(range(1, total), total - 1)]
    feature, left, right, threshold, value = ([0] * total for _ in range(5))
    for node in range(total):
        inner = node in children
        feature[names[node]] = 2 * random.randrange(N_FEATURES) + random.randrange(2) if inner else -1
        left[names[node]], right[names[node]] = (names[child] for child in children[node]) if inner else (-1, -1)
        threshold[names[node]] = random.uniform(-1, 1)
        value[names[node]] = float(node)
    return feature, left, right, threshold, value


def leaf_value(tree, row):
    feature, left, right, threshold, value = tree
    node = 0
    while feature[node] >= 0:
        node = left[node] if row[feature[node] >> 1] <= threshold[node] else right[node]
    return value[node]


def flattened(trees):
    feature, left, right, threshold, value = (np.concatenate([tree[part] for tree in trees]) for part in range(5))
    sizes = [len(tree[0]) for tree in trees]
    return flat_trees(sizes, feature, (left, right), threshold, value[:, None], list(range(len(trees))))


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3)), min_size=1, max_size=5), st.randoms())
def test_every_row_ends_in_the_leaf_that_it_ended_in(shapes, random):
    trees = [grown(random, *shape) for shape in shapes]
    flat = flattened(trees)
    assert len(flat.values) == sum(n_leaves for n_leaves, _ in shapes)
    assert len(flat.feature) == sum(2 * n_leaves - 1 for n_leaves, _ in shapes)  # without those nobody leads to
    assert (flat.threshold[flat.feature < 0] == 0).all()
    for row in np.random.default_rng(0).uniform(-1, 1, (20, N_FEATURES)):
        for tree, root in zip(trees, flat.root, strict=True):
            node = root
            while flat.feature[node] >= 0:
                goes_left = row[flat.feature[node] >> 1] <= flat.threshold[node]
                node = node + 1 if goes_left else flat.right[node]  # the left child stands right behind
            assert flat.values[flat.right[node], 0] == leaf_value(tree, row)


def test_where_missing_values_go_stays_with_its_node():
    flat = flattened(
        [([5, -1, 0, -1, -1], [2, -1, 3, -1, -1], [1, -1, 4, -1, -1], [1.0, 0, 2.0, 0, 0], [0, 1, 2, 3, 4])]
    )
    assert (flat.feature.tolist(), flat.threshold.tolist()) == ([5, 0, -1, -1, -1], [1.0, 2.0, 0, 0, 0])
    assert flat.values[:, 0].tolist() == [3, 4, 1]


def test_all_bytes_of_the_arrays_are_counted():
    flat = flattened([([0, -1, -1], [1, -1, -1], [2, -1, -1], [0.5, 0.0, 0.0], [0.0, 1.0, 2.0])])
    assert flat.nbytes == 3 * 8 + 3 * 4 + 3 * 4 + 8 + 4 + 2 * 8


@pytest.mark.parametrize(("left", "right"), [(1, 1), (1, 0), (0, 2)])
def test_what_is_no_tree_is_refused(left, right):
    nodes = ([0, -1, -1], [left, -1, -1], [right, -1, -1], [0.5, 0.0, 0.0], [0.0, 1.0, 2.0])
    if (left, right) == (1, 1):
        nodes = ([0, 0, -1], [1, 2, -1], [1, 2, -1], [0.5, 0.5, 0.0], [0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="a node of a tree has two parents"):
        flattened([nodes])
