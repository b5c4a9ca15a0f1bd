# Works with GNU make 3.81 (macOS) and later. `make help` lists the targets.
PROFILE ?= quick
DATA    ?=
SEEDS   ?=
MODELS  ?=
WEIGHTS ?=
CORES   ?=
SPLIT   ?=
EXECUTOR ?=
JOBS    ?=
NB      ?=

# A value reaches a command through its environment: so a path may hold quotes.
export PYTHON PROFILE DATA SEEDS MODELS WEIGHTS CORES SPLIT EXECUTOR JOBS

# PY=python uses the environment you are in (conda, for instance) and installs nothing.
PY      ?= .venv/bin/python

# The package's command line, from the same environment as $(PY).
COMMAND  = $(if $(findstring /,$(PY)),$(dir $(PY)))stroke-regions

# One resolution for every supported Python and system; without header and index addresses, so that it says only pins.
COMPILE = uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest \
	--no-header --no-annotate

GENERATED = .venv .venv-bench results data/derived data/phantom-*-seed*-v* data/.phantom-* .snakemake .pytest_cache .ruff_cache \
	*.egg-info

REPRODUCE = $(COMMAND) reproduce --profile "$$PROFILE" --data "$$DATA" --seeds "$$SEEDS" --models "$$MODELS" \
	--weights "$$WEIGHTS" --split "$$SPLIT" --cores "$$CORES" --executor "$$EXECUTOR" --jobs "$$JOBS"

.DEFAULT_GOAL := help
.PHONY: help env reproduce beyond study recipes test verify lab refresh bench lock clean clean-derived

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@echo '  PROFILE=quick|smoke|paper|strong DATA=/path SEEDS=0,1,2 MODELS=cnn,resnet18 WEIGHTS=imagenet CORES=2 for reproduce and beyond, all but MODELS for study and recipes; PYTHON=/path/to/python3.12 for all.'
	@echo '  EXECUTOR=slurm JOBS=30 SPLIT=models for reproduce on a cluster, see docs/cluster.md.'

env:
	@case '$(PY)' in .venv/*) sh .ci/install.sh;; *) command -v '$(COMMAND)' >/dev/null || { echo \
	"There is no $(COMMAND): install the package into the environment of $(PY), with: $(PY) -m pip install -e ." >&2; exit 2; };; esac

reproduce: env  ## run all notebooks on the paper headless; what is finished is not run again
	@$(REPRODUCE)

beyond: env  ## run the notebooks that go beyond the paper, 08 and later, and what they need of the others
	@$(REPRODUCE) --beyond

study: env  ## notebook 10 with seeds 0, 1, 2 and all variants, and its table docs/studies/one_model.csv; hours
	@$(REPRODUCE) --study one_model

recipes: env  ## notebook 05 with each recipe, seeds 0, 1, 2, and its table docs/studies/recipes.csv; hours
	@$(REPRODUCE) --study recipes

test: env  ## unit tests, then every notebook (in profile smoke) against its stored outputs, then the expected scores
	@$(PY) -m pytest -n 2 --dist loadfile tests
	@$(PY) -m pytest -n 2 --dist loadscope --nbval notebooks tests/test_expected.py

verify: env  ## compare the scores of a finished make reproduce with the expected ones; runs nothing
	@$(COMMAND) verify --profile "$$PROFILE"

lab: env  ## open the notebooks in JupyterLab
	@env -u JUPYTER_PATH JUPYTER_PREFER_ENV_PATH=1 $(PY) -m jupyterlab notebooks

refresh: env  ## execute the committed notebooks in place and renew figures/ (NB=03_phase1_detection for some)
	@$(COMMAND) refresh $(NB)

# The peers' environment holds nothing but them, and sees the project's through a path file.
bench: env  ## what the kit costs beside PyTorch, OpenCV and others, in one table, CSV and figure; 20 minutes or so
	@$(PY) -m venv .venv-bench && .venv-bench/bin/python -m pip install --quiet --no-deps -r tests/bench/requirements.txt && \
	$(PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
	"$$(.venv-bench/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth" && \
	JUPYTER_PATH="$$($(PY) -c "import sys; print(sys.prefix)")/share/jupyter" PYTHONPATH=. .venv-bench/bin/python -m tests.bench

lock: env  ## resolve pyproject.toml again into requirements.lock
	@scratch=$$(mktemp -d) && $(PY) -m venv $$scratch && $$scratch/bin/python -m pip install --quiet uv && \
	$$scratch/bin/python -m $(COMPILE) --output-file requirements.lock; status=$$?; rm -rf $$scratch; exit $$status

clean-derived: env  ## remove derived data that today's code would not make; results stay
	@$(COMMAND) clean-derived

clean:  ## remove .venv, results/, generated data and caches; never your own data
	@for path in $(wildcard $(GENERATED)); do echo "removing $$path"; rm -rf "$$path"; done
	@find . \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
