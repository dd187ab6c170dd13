"""What a training leaves behind, as it is printed."""

import html
from dataclasses import replace


def test_the_printed_result_says_so(stopped):
    assert "warnings          4 of 4 groups: 4 ConvergenceWarning" in str(stopped)


def test_a_result_is_one_line_in_a_session_and_its_summary_where_it_is_printed(stopped):
    line = f"<TrainingResult: 4 groups by group: 4 fitted, 0 skipped, 0 failed; {stopped.bundle_path}>"
    assert repr(stopped) == line
    assert str(stopped).startswith("groups            4: 4 fitted, 0 skipped, 0 failed\nrows              320, ")


def test_a_notebook_shows_the_summary_and_no_html_of_others(stopped):
    odd = replace(stopped, summary=stopped.summary | {"groups_warned_<b>": 1})
    assert odd._repr_html_() == f"<pre>{html.escape(str(odd))}</pre>"
    assert "<b>" not in odd._repr_html_()
