"""The map of groups: every group is one square, with its status."""

import base64
import io
import re

import matplotlib.image
import numpy as np

from metamodel.report.group_map import STATUSES, group_map


def test_few_groups_are_squares_that_tell_their_group() -> None:
    drawn = str(group_map([("a", 1), ("a", 2), ("b", 1)], ["ok", "few rows", "drift"], ["one", "two", '"three"']))

    assert re.findall(r'<i class="([\w-]+)" title="([^"]*)"', drawn) == [
        ("drift", "&#34;three&#34;"),  # the block with the most changed groups is first
        ("ok", "one"),
        ("few-rows", "two"),
    ]
    assert re.findall("<b>(.)</b> ([^<]+)<", drawn) == [("b", "1 of 1"), ("a", "0 of 2")]


def test_many_groups_are_pixels_in_the_order_of_their_keys() -> None:
    statuses = ["ok"] * 3000
    statuses[2] = "performance"

    drawn = str(group_map([(i,) for i in range(3000)], statuses, [""] * 3000))

    (source,) = re.findall('base64,([^"]+)', drawn)
    pixels = (matplotlib.image.imread(io.BytesIO(base64.b64decode(source))) * 255).round().reshape(-1, 4)
    assert np.array_equal(pixels[2], STATUSES["performance"])
    assert (pixels == STATUSES["ok"]).all(axis=1).sum() == 2999
    assert (pixels[3000:, 3] == 0).all()


def test_beyond_sixty_parents_the_smallest_are_one_block() -> None:
    keys = [(i, j) for i in range(80) for j in range(2 if i < 59 else 1)]

    drawn = str(group_map(keys, ["ok"] * len(keys), [""] * len(keys)))

    assert drawn.count("<figure>") == 60
    assert "<b>21 others</b> 0 of 21" in drawn
