"""Names for the registry: refused before anything is logged, in one line."""

import pytest

from metamodel.exceptions import InputError
from metamodel.tracking.registry import check_names


@pytest.mark.parametrize(
    ("name", "alias", "logged", "problem"),
    [
        (None, "champion", "model", r"An alias needs a registered model\. Give registered_model_name"),
        ("", "champion", "model", "An alias needs a registered model"),
        ("a/b", None, "model", "does not take the name 'a/b' for a model"),
        ("sales", None, "my.model", "does not take the name 'my.model' for a logged model"),
        ("sales", "v2", "model", "does not take the alias 'v2'"),
        ("sales", "Latest", "model", "does not take the alias 'Latest'"),
        ("sales", "two words", "model", "does not take the alias 'two words'"),
    ],
)
def test_names_that_mlflow_does_not_take_are_refused(
    name: str | None, alias: str | None, logged: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        check_names(name, alias, logged)


@pytest.mark.parametrize(("name", "alias"), [(None, None), ("", ""), ("sales", None), ("sales", "champion")])
def test_names_that_mlflow_takes_pass(name: str | None, alias: str | None) -> None:
    assert check_names(name, alias) is None  # type: ignore[func-returns-value]
