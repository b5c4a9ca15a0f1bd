# Works with GNU make 3.81 (macOS) and later. `make help` lists the targets.
PROFILE ?= quick
DATA    ?=
SEEDS   ?=
MODELS  ?=
CORES   ?=
NB      ?=
export PYTHON

# PY=python uses the environment you are in (conda, for instance) and installs nothing.
PY      ?= .venv/bin/python

# One resolution for every supported Python and system; without header and index addresses, so that it says only pins.
COMPILE = uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest \
	--no-header --no-annotate

GENERATED = .venv .venv-bench results data/derived data/phantom-*-seed*-v* data/.phantom-* .snakemake .pytest_cache .ruff_cache \
	*.egg-info

.DEFAULT_GOAL := help
.PHONY: help env reproduce test lab refresh bench lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo '  PROFILE=quick|paper DATA=/path SEEDS=0,1,2 MODELS=cnn,resnet18 CORES=2 for reproduce; PYTHON=/path/to/python3.12 for all.'

env:
	@case '$(PY)' in .venv/*) sh .ci/install.sh;; esac

reproduce: env  ## run all notebooks headless; what is finished is not run again
	@$(PY) -m stroke_utils.course.reproduce --profile '$(PROFILE)' --data '$(DATA)' --seeds '$(SEEDS)' --models '$(MODELS)' --cores '$(CORES)'

test: env  ## unit tests, then every notebook against its stored outputs, then the expected scores
	@$(PY) -m pytest --nbval

lab: env  ## open the notebooks in JupyterLab
	@env -u JUPYTER_PATH JUPYTER_PREFER_ENV_PATH=1 $(PY) -m jupyterlab notebooks

refresh: env  ## execute the committed notebooks in place and renew figures/ (NB=03_phase1_detection for some)
	@$(PY) -m stroke_utils.course.refresh $(NB)

# The peers' environment holds nothing but them, and sees the project's through a path file.
bench: env  ## ratios against plain work and peers (OpenCV), measured side by side; ten minutes or so
	@$(PY) -m venv .venv-bench && .venv-bench/bin/python -m pip install --quiet --no-deps -r tests/bench/requirements.txt && \
	$(PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
	"$$(.venv-bench/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth" && \
	PYTHONPATH=. .venv-bench/bin/python -m tests.bench && PYTHONPATH=. $(PY) -m tests.bench.training pipeline

lock: env  ## resolve pyproject.toml again into requirements.lock
	@scratch=$$(mktemp -d) && $(PY) -m venv $$scratch && $$scratch/bin/python -m pip install --quiet uv && \
	$$scratch/bin/python -m $(COMPILE) --output-file requirements.lock; status=$$?; rm -rf $$scratch; exit $$status

clean:  ## remove .venv, results/, generated data and caches; never your own data
	@for path in $(wildcard $(GENERATED)); do echo "removing $$path"; rm -rf "$$path"; done
	@find . \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
