"""MLflow's commands go on as the server that they start, in place of starting a new Python for it.

Each is Python for a process that `forked_programs` starts, run before the command: what serves is MLflow's own
application under uvicorn, with the arguments and the environment that the command gives it. uvicorn forks several
workers where it would start a new Python for each; each of them imports the application, and opens the model, itself.
"""

# uvicorn's own processes, which share its socket.
WORKERS = """
import multiprocessing
import uvicorn._subprocess

uvicorn._subprocess.spawn = multiprocessing.get_context("fork")
"""

# `mlflow server` starts ``python -m uvicorn ...``.
TRACKING = """
import os, runpy, sys
import mlflow.server

def go_on(command, *, extra_env, **_):
    os.environ.update(extra_env)
    sys.argv = command[2:]
    runpy.run_module("uvicorn", run_name="__main__", alter_sys=True)
    sys.exit()

mlflow.server._exec_cmd = go_on
"""

# `mlflow models serve` starts ``bash -c "exec uvicorn ..."``; the model's code must be what comes with it.
SCORING = """
import os, runpy, shlex, subprocess, sys
from types import SimpleNamespace
import mlflow.pyfunc.backend

def go_on(command, *, env, **_):
    assert "metamodel" not in sys.modules, "the model could not use the code that it brings along"
    os.environ.clear()
    os.environ.update(env)
    sys.argv = shlex.split(command[-1])[1:]
    runpy.run_module("uvicorn", run_name="__main__", alter_sys=True)
    sys.exit()

mlflow.pyfunc.backend.subprocess = SimpleNamespace(**vars(subprocess) | {"Popen": go_on})
"""
