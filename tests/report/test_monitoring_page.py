"""The page of a monitored window: complete by itself, incidents first, and small whatever the number of groups."""

import re

from html_pages import Page
from monitored_pages import page

FEW = [("DE", 1), ("DE", 2), ("FR", 1)]


def test_the_page_asks_for_nothing_and_escapes_what_comes_from_tables() -> None:
    source = page(FEW, {("FR", 1): {"<b>stock</b>": 0.7}})
    parsed = Page(source)

    addresses = [value for name, value in parsed.attributes if name in ("src", "href")]
    assert all(value.startswith("data:") for value in addresses)
    assert parsed.scripts == 0
    assert "<b>stock</b>" not in source
    assert "<i>told</i>" not in source
    assert "1 of 2 changed & more." in parsed.text


def test_what_blocks_comes_first_with_the_command_that_acknowledges_it() -> None:
    text = Page(page(FEW, {})).text

    assert text.index("One feed broke.") < text.index("<i>told</i>")
    assert "metamodel acknowledge DIR bb22" in text
    assert "acknowledge DIR aa11" not in text


def test_distributions_and_windows_are_drawn_beside_their_measure() -> None:
    bins = [{"label": f"b{i}", "reference": 0.1, "window": 0.4 if i == 9 else 0.0} for i in range(10)]
    of_group = {"key": '["FR",1]', "column": "price", "kind": "number", "rows": 30, "p_value": 1e-9, "bins": bins}
    old = {"window": "w1", "rows": 10, "labelled": 0, "large": None, "expected": None}
    new = {"window": "w2", "rows": 10, "labelled": 5, "large": 0.4, "expected": 0.1}

    source = page(FEW, {}, drawn=[of_group], history=[old, new])

    then, now = '<i class="then" style="height:25.0%"></i>', '<i class="now" style="height:100.0%"></i>'
    assert f'title="b9: 10 %, now 40 %">{then}{now}' in source
    assert f'title="w2: 40 %, usual 10 %">{now}<u style="bottom:25.0%"></u>' in source
    assert 'title="w1: –, usual –"></span>' in source
    assert "Last: 50 % of 10." in source


def test_fifty_thousand_groups_are_pictures_and_no_elements() -> None:
    keys = [(f"c{i % 7}", i) for i in range(50_000)]
    changes = {key: {"price": 0.5} for key in keys[3::70]}

    source = page(keys, changes)  # a pass over all pairs of groups would take minutes

    assert len(source) < 500_000
    assert len(re.findall("<img ", source)) == 7
    assert 'title="c3 · 3:' not in source
    assert "<b>c3</b> 715 of 7,143" in source
