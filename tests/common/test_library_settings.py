"""Global settings of scikit-learn and pandas: read where a caller trains, had where an estimator is at work."""

import pandas as pd
import pytest
import sklearn

from metamodel.common.library_settings import LibrarySettings


def test_a_process_with_its_libraries_as_they_come_has_none():
    assert not LibrarySettings.current()
    assert LibrarySettings.current().to_dict() == {"sklearn": {}, "pandas": {}}


def test_what_the_caller_has_set_is_read_and_had_elsewhere():
    with sklearn.config_context(transform_output="pandas", assume_finite=True, display="text"):
        settings = LibrarySettings.from_dict(LibrarySettings.current().to_dict())
    assert settings.sklearn == {"assume_finite": True, "transform_output": "pandas"}  # how it prints is not
    with settings.for_predictions():
        assert sklearn.get_config()["transform_output"] == "pandas"
    assert sklearn.get_config()["transform_output"] == "default"


def test_options_of_pandas_are_had_in_workers_and_told_elsewhere():
    with pd.option_context("mode.string_storage", "python"):
        settings = LibrarySettings.current()
        assert settings.missing_in_pandas() == {}
    assert settings.pandas == {"mode.string_storage": "python"}
    assert settings.missing_in_pandas() == {"mode.string_storage": "python"}
    before = pd.get_option("mode.string_storage")
    with settings.for_fits():
        assert pd.get_option("mode.string_storage") == "python"
    assert pd.get_option("mode.string_storage") == before


def test_an_option_of_pandas_that_is_missing_where_a_model_is_opened_is_named(caplog):
    LibrarySettings(pandas={"mode.string_storage": "python"}).tell_missing()
    assert "fitted under the pandas option mode.string_storage='python', which is not set here" in caplog.text
    caplog.clear()
    with pd.option_context("mode.string_storage", "python"):
        LibrarySettings(pandas={"mode.string_storage": "python"}).tell_missing()
    assert not caplog.text


def test_none_change_nothing():
    with LibrarySettings().for_fits():
        assert not LibrarySettings.current()


def test_they_are_given_back_whatever_happens_inside():
    settings = LibrarySettings({"transform_output": "pandas"}, {"mode.string_storage": "python"})
    before = pd.get_option("mode.string_storage")
    with pytest.raises(ZeroDivisionError, match="zero"), settings.for_fits():
        _ = 1 / 0
    assert sklearn.get_config()["transform_output"] == "default"
    assert pd.get_option("mode.string_storage") == before
