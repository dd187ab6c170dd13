"""What `import metamodel` offers, and what it does not drag in."""

import subprocess
import sys

import forked_programs
import pytest

import metamodel
from metamodel.flavor import remote

HEAVY = ("mlflow", "sklearn", "pyspark", "joblib", "pandas", "pyarrow", "matplotlib")


def test_the_list_of_names_is_sorted():
    assert metamodel.__all__ == sorted(metamodel.__all__)


def test_dir_gives_the_public_names():
    assert dir(metamodel) == metamodel.__all__


@pytest.mark.parametrize("name", metamodel.__all__)
def test_every_public_name_leads_somewhere(name):
    assert getattr(metamodel, name) is not None


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'metamodel' has no attribute 'fit'"):
        _ = metamodel.fit


def test_import_is_light():
    program = f"import sys, metamodel; print([name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_help_is_light():
    program = f"import sys, metamodel.cli; print([name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_training_does_not_import_mlflow_or_spark():
    program = "from metamodel import train, update\nprint([n for n in ('mlflow', 'pyspark') if n in sys.modules])"
    run = forked_programs.run("program_text", forked_programs.anew("metamodel", "mlflow", "pyspark") + program)
    assert run.stdout.strip() == "[]", run.stderr


def test_turns_and_the_disk_cache_of_children_do_not_import_mlflow():
    program = (
        "import sys; from metamodel.flavor.remote import disk_cache, rate_limit; "
        "print([name for name in ('mlflow', 'pandas') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", remote.__all__)
def test_every_name_of_what_lives_elsewhere_leads_somewhere(name):
    assert getattr(remote, name) is not None


def test_what_does_not_live_elsewhere_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'metamodel\.flavor\.remote' has no attribute 'fit'"):
        _ = remote.fit
