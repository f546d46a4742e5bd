# Every habit of the project in one line each: `make help`.
PYTHON := $(shell command -v python3.13 || command -v python3)
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install demo run browser test lint checkov package format docs telemetry screenshots pins clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/installed ## Install everything into .venv and node_modules (the other targets do it by themselves)

.venv/installed: requirements.txt requirements-dev.txt constraints.txt package-lock.json
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13) and "Guestpass needs Python 3.13, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	npm ci --silent --no-audit --no-fund
	@touch $@

demo: install ## The main job, live, on the embedded local world; ends with a verdict
	$(BIN)/python -m local.demo

run: install ## Keep the local world up to play with; prints the addresses
	$(BIN)/python -m local.run

# Debian's package brings every library that a browser needs; Playwright's own needs them from elsewhere.
browser: install
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qqy --no-install-recommends chromium fonts-dejavu-core; } \
	|| $(BIN)/python -m playwright install chromium \
	|| { echo "The tests of the page need a browser: install Chromium (Debian: sudo apt-get install chromium) and run make again."; exit 1; }

test: lint browser ## All tests (and lint)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install checkov ## ruff, mypy, import-linter, checkov
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy function_app.py functions shared local infra tests docs bench
	$(BIN)/lint-imports

# It ends well also when it could not read a file, or found none.
checkov: .venv-checkov/installed
	@report=$$(.venv-checkov/bin/checkov --config-file infra/.checkov.yaml 2>&1) && echo "$$report" | grep 'Passed checks: [1-9]' \
	&& ! echo "$$report" | grep -q 'Parsing errors\|ERROR' || { echo "$$report"; exit 1; }

.venv-checkov/installed: requirements-checkov.txt
	$(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-checkov.txt
	@touch $@

package: install ## Make .package, what is uploaded to Azure; prints how large it is
	$(BIN)/python -m infra.package

format: install ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## Write the generated parts of the docs, and the workbook, again
	$(BIN)/python -m docs.generate
	$(BIN)/python -m infra.monitoring.workbook

telemetry: browser ## Play the demo, and draw what the portal's workbook shows of it
	$(BIN)/python -m local.demo --telemetry
	$(BIN)/python -m local.portal

screenshots: browser ## Take the pictures in the docs again
	$(BIN)/python -m local.screenshots

pins: ## Resolve requirements-dev.txt anew and pin the result in constraints.txt
	: > constraints.txt
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	(echo '# Every package, direct or not, at the version that was tested. Made by `make pins`.'; $(BIN)/python -m pip freeze) > constraints.txt

clean: ## Remove everything that was installed or made
	rm -rf .venv .venv-checkov node_modules .local .package .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
