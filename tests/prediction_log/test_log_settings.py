"""What is logged: options, variables, and what is refused before anything is."""

import pytest

from metamodel.exceptions import InputError
from metamodel.prediction_log.log_settings import LogSettings

pytestmark = pytest.mark.tableless


def test_options_win_over_variables_and_nothing_is_logged_without_a_folder():
    variables = {"METAMODEL_LOG": "here", "METAMODEL_LOG_SAMPLE": "0.5", "METAMODEL_LOG_DROP": "a, b"}
    settings = LogSettings.of({"folder": "there", "sample": None, "drop": ""}, variables)
    assert settings is not None
    assert (str(settings.folder), settings.sample, settings.drop) == ("there", 0.5, ("a", "b"))
    assert LogSettings.of({"sample": 0.5}, {}) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sample": 0}, "log_sample=0 is no share"),
        ({"sample": "much"}, "METAMODEL_LOG_SAMPLE='much' is no number"),
        ({"features": "some"}, "log_features='some' is unknown"),
        ({"entity": "customer"}, "Set METAMODEL_LOG_SECRET to a long random text"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_line(given, message):
    with pytest.raises(InputError, match=message):
        LogSettings.of({"folder": "log", **given}, {})


def test_a_column_to_drop_that_is_none_is_refused_because_its_values_would_be_logged():
    LogSettings.of({"folder": "log", "drop": "price,key"}, {}).check_drop(("price",))
    with pytest.raises(InputError, match=r"log_drop=prise is neither .* Did you mean 'price'"):
        LogSettings.of({"folder": "log", "drop": "prise"}, {}).check_drop(("price",))


def test_no_message_shows_the_secret():
    assert "hush" not in repr(LogSettings.of({"folder": "log", "entity": "c"}, {"METAMODEL_LOG_SECRET": "hush"}))
