# Two commands matter: `make book` and `make test`. Each line calls what does the work (ci/).
PROFILE ?= quick
PYTHON ?=
MDEPTH_DATA ?=
export MDEPTH_DATA PYTHON

.PHONY: help book test lab lock clean venv

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-6s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: venv  ## the rendered book: make what is missing, run every chapter [PROFILE=quick|laptop|full] [MDEPTH_DATA=folder]
	@.venv/bin/python ci/build.py --profile $(PROFILE) --data "$(MDEPTH_DATA)"

test: venv  ## the whole suite [MDEPTH_DATA=folder]
	@.venv/bin/python -m pytest -n 2

lab: venv  ## the chapters as notebooks in JupyterLab; saving one writes its text in book/
	@.venv/bin/python ci/lab.py

lock: venv  ## renew requirements.lock from pyproject.toml
	@sh ci/lock.sh

clean:  ## remove what a build made, except the runs in results/quick and the environment
	rm -rf _build .mdepth .snakemake book/executed book/_generated book/api lab dist build

venv:  # .venv with everything the lock pins; nothing to do where it already stands
	@sh ci/install.sh
