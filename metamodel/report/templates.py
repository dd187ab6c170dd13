"""The templates of the pages, which lie beside this file."""

import functools
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from metamodel.report import formatting as numbers

__all__ = ["page_template"]

_FILTERS = (numbers.number, numbers.p_value, numbers.percent, numbers.duration, numbers.size)


@functools.cache
def page_template(name: str) -> Template:
    """Open the template of a page, compiled once a process: values are escaped, and one that is missing is an error.

    It knows the functions that write numbers by their own names.
    """
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in _FILTERS:
        environment.filters[filter_.__name__] = filter_
    return environment.get_template(name)


def _source(name: str) -> str:
    # The package may be an archive, and its files none that the system knows.
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
