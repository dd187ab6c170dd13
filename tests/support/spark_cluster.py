"""Real Spark processes on loopback: a standalone master with its workers, a Connect server, and who uses them."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import forked_programs
import pyspark
from java import SHORT_LIVED
from servers import free_port

HOME = Path(pyspark.__file__).parent
_LOOPBACK = "127.0.0.1"

SECONDS = 400  # a minute on a machine that does nothing else


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 180) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((_LOOPBACK, port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"nobody listens on port {port}:\n{log.read_text()[-2000:]}")


@contextmanager
def launched(folder: Path, name: str, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run one of Spark's own classes in a process group of its own, and end it with everything it started."""
    log = folder / f"{name}.log"
    environment = {
        **os.environ,
        "SPARK_HOME": str(HOME),
        "SPARK_LOCAL_IP": _LOOPBACK,
        "SPARK_NO_DAEMONIZE": "1",
        "SPARK_LOCAL_DIRS": str(folder / f"{name}-local"),
        "SPARK_DAEMON_MEMORY": "768m",
        "PYSPARK_PYTHON": sys.executable,
        "JDK_JAVA_OPTIONS": " ".join(SHORT_LIVED),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment, start_new_session=True
        )
    try:
        yield process, log
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)


class Cluster:
    """A standalone cluster: one master and two workers with one core each, every one a process."""

    def __init__(self, master: str, workers: list[subprocess.Popen[bytes]]) -> None:
        self.master = master
        self.workers = workers


@contextmanager
def standalone(folder: Path) -> Iterator[Cluster]:
    """Start a cluster on loopback."""
    port, spark_class = free_port(), str(HOME / "bin" / "spark-class")
    arguments = ["--host", _LOOPBACK, "--port", str(port), "--webui-port", str(free_port())]
    with launched(folder, "master", spark_class, "org.apache.spark.deploy.master.Master", *arguments) as (master, log):
        wait_for_port(port, master, log)
        url = f"spark://{_LOOPBACK}:{port}"
        with _worker(folder, "one", url) as one, _worker(folder, "two", url) as two:
            yield Cluster(url, [one, two])


@contextmanager
def _worker(folder: Path, name: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    port, work = free_port(), folder / f"work-{name}"
    arguments = ["--host", _LOOPBACK, "--port", str(port), "--webui-port", str(free_port()), "--cores", "1"]
    arguments += ["--memory", "1g", "--work-dir", str(work), url]
    spark_class = str(HOME / "bin" / "spark-class")
    with launched(folder, name, spark_class, "org.apache.spark.deploy.worker.Worker", *arguments) as (process, log):
        wait_for_port(port, process, log)
        yield process


def cluster_session(master: str, folder: Path) -> Any:
    """Start a session of this process on a cluster."""
    from pyspark.sql import SparkSession

    return (
        SparkSession.builder.master(master)
        .appName("metamodel-cluster-tests")
        .config("spark.driver.bindAddress", _LOOPBACK)
        .config("spark.driver.host", _LOOPBACK)
        .config("spark.driver.memory", "512m")
        .config("spark.driver.extraJavaOptions", " ".join(SHORT_LIVED))
        .config("spark.executor.memory", "512m")
        .config("spark.executor.cores", "1")
        .config("spark.local.dir", str(folder / "driver"))
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )


@contextmanager
def connect_server(folder: Path) -> Iterator[str]:
    """Start a Spark Connect server with two cores on loopback; yields its URL."""
    port = free_port()
    settings = {
        # The workers of the cluster import on their own, as users' do.
        "spark.python.daemon.module": "spark_daemon",
        "spark.connect.grpc.binding.address": _LOOPBACK,
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.bindAddress": _LOOPBACK,
        "spark.driver.host": _LOOPBACK,
        "spark.local.dir": str(folder / "connect"),
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
    }
    arguments = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--master", "local[2]"]
    arguments += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    submit = [str(HOME / "bin" / "spark-class"), "org.apache.spark.deploy.SparkSubmit"]
    with launched(folder, "connect-server", *submit, *arguments, "spark-internal") as (server, log):
        wait_for_port(port, server, log)
        yield f"sc://{_LOOPBACK}:{port}"


def connect_session(url: str) -> Any:
    """Start a session of this process on a Connect server."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.remote(url).getOrCreate()


class Program:
    """A process with a session of its own, which does one job after the other (`cluster_program`)."""

    def __init__(self, running: forked_programs.Program, jobs: BinaryIO, log: Path) -> None:
        self._running = running
        self._jobs = jobs
        self._log = log

    def start(self, what: str, folder: Path) -> None:
        """Give a job; `folder` holds what it needs and will hold what it makes."""
        self._jobs.write(f"{what} {folder}\n".encode())
        self._jobs.flush()

    def at_work(self, folder: Path) -> bool:
        """Say whether the job of a folder is still under way."""
        return self._running.poll() is None and not (folder / "found.json").exists()

    def found(self, folder: Path) -> dict[str, Any]:
        """Wait for the job of a folder; says what it found."""
        deadline = time.monotonic() + SECONDS
        while self.at_work(folder) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (folder / "found.json").exists(), self.log()
        found: dict[str, Any] = json.loads((folder / "found.json").read_text())
        assert "error" not in found, found["error"] + self.log()
        return found

    def end(self) -> None:
        """Let it stop its session, and see that it ends well."""
        self._jobs.close()
        self._running.wait(SECONDS)
        assert self._running.returncode == 0, self.log()

    def log(self) -> str:
        """Give the end of what it said."""
        return self._log.read_text()[-3000:]


@contextmanager
def program(master: str, folder: Path) -> Iterator[Program]:
    """Start a program whose session is on a cluster or on a Connect server."""
    said = folder / "program.log"
    reading, writing = os.pipe()
    with said.open("wb") as log, os.fdopen(writing, "wb") as jobs:
        with os.fdopen(reading, "rb") as stdin:
            streams = {"stdin": stdin, "stdout": log, "stderr": log}
            running = forked_programs.start("cluster_program", master, str(folder), **streams)
        try:
            started = Program(running, jobs, said)
            yield started
            started.end()
        finally:
            running.kill()
