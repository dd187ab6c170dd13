"""Templates of pages: what they are given is escaped, what they are not given is an error."""

from collections.abc import Iterator

import pytest
from jinja2 import UndefinedError

from metamodel.report import templates


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    texts = {"page.html": "{{ share | percent }} of {% include 'part.html' %}", "part.html": "{{ name }}"}
    monkeypatch.setattr(templates, "_source", texts.get)
    templates.page_template.cache_clear()
    yield
    templates.page_template.cache_clear()


@pytest.mark.usefixtures("sources")
def test_numbers_are_written_and_texts_escaped() -> None:
    assert templates.page_template("page.html").render(share=0.5, name="a<b") == "50 % of a&lt;b"


@pytest.mark.usefixtures("sources")
def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        templates.page_template("page.html").render(share=0.5)


@pytest.mark.parametrize("name", ["page.html", "gate.html", "variants.html", "monitoring.html"])
def test_every_page_has_its_template(name: str) -> None:
    assert templates.page_template(name).name == name


def test_a_template_is_compiled_once_a_process() -> None:
    assert templates.page_template("gate.html") is templates.page_template("gate.html")
