# make run    set up and run the shipped scenarios against the simulated hospital
# make test   set up and pass the tests
# make load   set up and drive a two-minute Monday morning at the simulated hospital; ARGS="LOD-02 --lab ..."
# make prove  one run per known defect: shows what the suite catches
# make images, up, down, bundle: the hospital in containers, built without a registry; docs/containers.md
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
export VENV PYTHON

.PHONY: run test load prove lint bench images up down bundle clean help

run: $(VENV)/.ready
	@$(BIN)/stepwedge run $(ARGS)

test: $(VENV)/.ready-dev
	@$(BIN)/python -m pytest $(ARGS)

load: $(VENV)/.ready-dev
	@$(BIN)/stepwedge load $(ARGS)

prove: $(VENV)/.ready
	@$(BIN)/stepwedge prove $(ARGS)

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready-dev
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

images: $(VENV)/.ready
	@PIP=$(BIN)/pip containers/images $(ARGS)

up: $(VENV)/.ready
	@$(BIN)/stepwedge up --containers

down: $(VENV)/.ready
	@$(BIN)/stepwedge down

bundle: images
	@PIP=$(BIN)/pip containers/bundle $(ARGS)

$(VENV)/.ready: requirements.txt pyproject.toml .ci/venv
	@.ci/venv requirements.txt
	@touch $@

$(VENV)/.ready-dev: requirements.txt requirements-dev.txt pyproject.toml .ci/venv
	@.ci/venv requirements.txt requirements-dev.txt
	@touch $@ $(VENV)/.ready

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache .hypothesis

help:
	@sed -n '1,5s/^# //p' Makefile
