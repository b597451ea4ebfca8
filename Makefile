# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo run test test-dashboards test-page test-real image-test mutants chaos fuzz sbom audit bench bench-detection fmt lock clean

demo: $(VENV)/run.stamp ## the product on simulated providers: no key, no internet
	$(BIN)/monitor demo

run: $(VENV)/run.stamp ## the product on checks.yaml
	$(BIN)/monitor run

test: $(VENV)/dev.stamp ## lint, types and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto -m "not real"

test-dashboards: $(VENV)/dev.stamp ## every panel against the product and a real Prometheus; ninety days
	$(BIN)/python -m pytest -m real -s tests/dashboards

test-page: $(VENV)/dev.stamp ## the pages in a real Chromium, with axe-core; pictures in build/pages
	-npm install --silent --no-save --prefix build/axe axe-core@4
	$(BIN)/python -m pytest -m real tests/browser

test-real: $(VENV)/dev.stamp ## against a real model and a real Prometheus; skips, saying why
	$(BIN)/python -m pytest -m real -s tests/real

image-test: ## the container image, built and run without a Docker engine; skips, saying why
	$(PYTHON) -m tests.image

mutants: $(VENV)/dev.stamp ## take each handling of a reason away and see a test fail
	$(BIN)/python -m tests.mutants

bench: $(VENV)/dev.stamp ## figures beside the peers' of the same run; BENCH="scrape ledger" takes some
	$(BIN)/python -m benchmarks $(BENCH)

bench-detection: $(VENV)/dev.stamp ## how soon an outage is told, of 1,000 random ones a setting
	$(BIN)/python -m benchmarks.detection

fuzz: $(VENV)/dev.stamp ## a million broken inputs; FUZZ="--minutes 60 --seed 7" asks for others
	$(BIN)/python -m tests.fuzz $(FUZZ)

chaos: $(VENV)/dev.stamp ## kill -9 a thousand times, and hold the ledger against what happened
	$(BIN)/python -m tests.chaos

fmt: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/dev.stamp ## pin what pyproject.toml asks for, with hashes and without addresses
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate \
	  --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --extra dev \
	  --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements-dev.lock

sbom: $(VENV)/dev.stamp ## what the image's Python side is made of, as CycloneDX: sbom.cdx.json
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible -o sbom.cdx.json requirements.lock

audit: $(VENV)/dev.stamp ## known vulnerabilities of what the lock file names; skips, saying why
	$(BIN)/python -m tests.audit

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The lock files hold exact versions and hashes; the product itself is then added without looking
# at anything else.
$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install -q --no-deps --editable .
	@touch $@ $(VENV)/run.stamp

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
