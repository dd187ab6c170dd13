# Needs only make and Python 3.11 or newer: `make demo`, `make test`, `make help`.
PYTHON  ?= python3
VENV    ?= .venv
VENV3   ?= .venv-pandas3
VENVLOW ?= .venv-lowest
PYTHONS ?=
WORKERS ?=
ARGS    ?=

export MLFLOW_TRACKING_URI ?= sqlite:///mlflow.db
export PIP_DISABLE_PIP_VERSION_CHECK = 1

RUN      = PATH="$(abspath $(VENV))/bin:$$PATH"
# The suite brings its own tracking stores; Spark must not guess a network address.
# Compiled files are written whatever the shell says: the tests start a thousand processes that read them.
SPARK_ENV = SPARK_LOCAL_IP=127.0.0.1
TEST_ENV = $(SPARK_ENV) PYTHONDONTWRITEBYTECODE=
# Several processes (WORKERS=0: in this one), each with one thread of OpenMP; tests/conftest.py says which tests go together.
# On two cores the quick tests want two. The others want three, as now and then one waits for servers or for Spark; a
# fourth would cost what it takes to collect the tests and to have a server and workers of its own.
pytest   = $(TEST_ENV) OMP_NUM_THREADS=1 python -m pytest -n $(or $(WORKERS),$(1)) --durations=25
UNIT     = not server and not spark and not browser and not slow and not speed and not attack
# All that lies there is marked, and need not even be imported.
UNMARKED = --ignore=tests/attacks --ignore=tests/integration
UNIT_TESTS = $(call pytest,2) --hypothesis-profile=quick $(UNMARKED)
DEFINITION = setup.cfg pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv venv-pandas3 venv-lowest venv-pythons demo quick unit costs test attacks lint types layers check test-pandas3 test-lowest \
	test-python audit clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.dev  ## make .venv with everything for development

venv-pandas3: $(VENV3)/.dev  ## make .venv-pandas3, the same with pandas 3

venv-lowest: $(VENVLOW)/.dev  ## make .venv-lowest, with the oldest versions that setup.cfg allows

# Each Python of PYTHONS has its environment: python3.13 has .venv-python3.13.
IN_ENVIRONMENTS = $(addprefix venv-of-,$(PYTHONS))
venv-pythons: $(IN_ENVIRONMENTS)  ## make an environment for each of PYTHONS="python3.12 python3.13"
$(IN_ENVIRONMENTS): venv-of-%:
	@$(MAKE) --no-print-directory venv PYTHON=$* VENV=.venv-$(notdir $*)

demo: $(VENV)/.run  ## train, register and try the built-in sample with `mlflow run .`
	@echo "==> mlflow run . (tracking store: $(MLFLOW_TRACKING_URI))"
	@$(RUN) mlflow run . --env-manager local --experiment-name metamodel-demo
	@echo "==> Done. Look at the run with: $(VENV)/bin/mlflow ui"

quick: $(VENV)/.dev  ## run the tests that need no server, Spark or browser but the one in sixteen that takes long, Hypothesis with fewer examples: two minutes on two cores (ARGS="-k keys" narrows them)
	@echo "==> pytest, the quick tests"
	@$(RUN) $(UNIT_TESTS) -m "$(UNIT) and not long" $(ARGS)

unit: $(VENV)/.dev  ## run those that take long, too: three and a half minutes
	@echo "==> pytest, the unit tests"
	@$(RUN) $(UNIT_TESTS) -m "$(UNIT)" $(ARGS)

costs: $(VENV)/.dev  ## measure the unit tests anew, which take long (tests/costs.json): wants an otherwise idle machine
	@$(MAKE) --no-print-directory unit ARGS=--write-costs

test: $(VENV)/.dev  ## run the whole test suite but the attacks (ARGS="-k keys" narrows it)
	@echo "==> pytest"
	@$(RUN) $(call pytest,3) --ignore=tests/attacks -m "not speed and not attack" $(ARGS)
	@$(if $(ARGS),,$(RUN) $(TEST_ENV) python -m pytest -m speed $$(grep -rl "mark\.speed" tests))

attacks: $(VENV)/.dev  ## run the attacks of docs/security.md alone: under five minutes
	@echo "==> pytest, the attacks"
	@$(RUN) $(call pytest,4) -m attack $(ARGS)

lint: $(VENV)/.dev  ## ruff: rules and format
	@echo "==> ruff"
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

types: $(VENV)/.dev  ## mypy: the package strictly, tests and benchmarks lightly
	@echo "==> mypy"
	@$(RUN) mypy
	@$(RUN) mypy --config-file tests/mypy.ini

layers: $(VENV)/.dev  ## import-linter: who may import whom
	@echo "==> import-linter"
	@$(RUN) lint-imports

check: lint types layers  ## lint, types and layers

test-pandas3: $(VENV3)/.dev  ## run the tests of tables on pandas 3, without those of Spark
	@echo "==> pytest on pandas 3"
	@PATH="$(abspath $(VENV3))/bin:$$PATH" $(call pytest,3) --ignore=tests/attacks \
		-m "not speed and not slow and not attack and not spark and not tableless" -W ignore::pandas.errors.Pandas4Warning $(ARGS)

# The oldest Matplotlib calls pyparsing by names that the newest one warns of.
test-lowest: $(VENVLOW)/.dev  ## run the unit tests on the oldest versions that setup.cfg allows
	@echo "==> pytest on the lowest versions"
	@PATH="$(abspath $(VENVLOW))/bin:$$PATH" $(call pytest,2) -m "$(UNIT)" \
		-W ignore::pyparsing.warnings.PyparsingDeprecationWarning $(ARGS)
	@$(if $(ARGS),,echo "==> The servers on the lowest versions"; \
		PATH="$(abspath $(VENVLOW))/bin:$$PATH" $(call pytest,0) \
		tests/serving/test_scorer.py -m server -k every_request \
		-W ignore::pyparsing.warnings.PyparsingDeprecationWarning)

test-python:  ## run the unit tests on another Python, in its own environment: PYTHON=python3.13
	@echo "==> pytest on $$($(PYTHON) --version)"
	@$(MAKE) --no-print-directory unit VENV=.venv-$(notdir $(PYTHON))

# Without --strict it would say that nothing is known of packages that it cannot ask for.
audit: $(VENV)/.dev  ## ask whether holes are known in what .venv holds: needs the network, and an index that knows of holes
	@echo "==> pip-audit"
	@test -x $(VENV)-audit/bin/pip-audit || { \
		$(PYTHON) -m venv $(VENV)-audit && $(VENV)-audit/bin/python -m pip install -q pip-audit; }
	@$(VENV)/bin/python -m pip freeze --exclude-editable > $(VENV)-audit/audited.txt
	@$(VENV)-audit/bin/pip-audit --strict --no-deps --disable-pip -r $(VENV)-audit/audited.txt $(ARGS)

clean:  ## remove environments and caches, but no run and no model
	rm -rf $(VENV) $(VENV3) $(VENVLOW) $(VENV)-audit .venv-python3.* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find metamodel tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python $(VENV3)/bin/python $(VENVLOW)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "metamodel needs Python 3.11 or newer; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; \
		exit 1; }
	@echo "==> Creating $(patsubst %/bin/python,%,$@)"
	@$(PYTHON) -m venv $(patsubst %/bin/python,%,$@)

# The stamps say which dependencies an environment holds, so that they are installed once a definition.
$(VENV)/.run: $(DEFINITION) | $(VENV)/bin/python
	@echo "==> Installing metamodel into $(VENV) (some minutes the first time)"
	@$(VENV)/bin/python -m pip install -q -e '.[spark,skops,serve]'
	@touch $@

$(VENV)/.dev: $(DEFINITION) | $(VENV)/bin/python
	@echo "==> Installing metamodel and its development tools into $(VENV) (some minutes the first time)"
	@$(VENV)/bin/python -m pip install -q -e '.[spark,skops,serve,fast,tuning,xgboost,delta,dev]'
	@$(SPARK_ENV) $(VENV)/bin/python tests/support/spark_archive.py 2> $(VENV)/spark-classes.log || tail -1 $(VENV)/spark-classes.log
	@touch $(VENV)/.run $@

# Without the spark extra, whose bound is pandas < 3: PySpark does not fully support pandas 3, so Spark's tests are left out.
# MLflow's own code still warns of what pandas 4 will change.
$(VENV3)/.dev: $(DEFINITION) | $(VENV3)/bin/python
	@echo "==> Installing metamodel with pandas 3 into $(VENV3) (some minutes the first time)"
	@$(VENV3)/bin/python -m pip install -q -e '.[skops,serve,fast,tuning,xgboost,delta,dev]' 'pyspark[connect]>=4.1' 'pandas>=3'
	@touch $@

# pip always takes the newest versions; uv can take the oldest ones.
$(VENVLOW)/.dev: $(DEFINITION) | $(VENVLOW)/bin/python
	@echo "==> Installing the lowest versions into $(VENVLOW)"
	@$(VENVLOW)/bin/python -m pip install -q uv
	@$(VENVLOW)/bin/uv pip install -q --compile-bytecode --python $(VENVLOW)/bin/python --resolution lowest-direct \
		-e '.[spark,skops,serve,fast,tuning,xgboost,delta,dev]'
	@touch $@
