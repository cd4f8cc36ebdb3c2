# `make demo` and `make test` do all set-up on Debian or Ubuntu with Python 3.11+.

# The system's Python where it will do: distributions build theirs with profile-guided
# optimisation, and a server runs on it up to half as fast again as on one built without.
PYTHON ?= $(or $(shell for each in /usr/bin/python3 python3; do \
	$$each -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$each && break; done),python3)
VENV := .venv
BIN := $(VENV)/bin
# Real clients and the peers that tests and benchmarks run beside us (Debian names).
TEST_TOOLS := yaz libyaz-dev idzebra-2.0 libnet-z3950-zoom-perl libxml2-utils tshark curl \
	libcatmandu-sru-perl libcatmandu-marc-perl chromium chromium-driver \
	faketime haproxy fonts-noto-cjk fonts-dejavu-core prometheus \
	systemd logrotate
# An SRU client, and what the tests ask of a page's accessibility: from npm, in a folder of their own.
NODE := .node
SRU_CLIENT := @natlibfi/sru-client
SRU_CLIENT_VERSION := 6.0.18
AXE := axe-core
AXE_VERSION := 4.14.1
# What draws the charts of the pages. Kept in server/pages/vendor as it was published;
# `make vendor` gets that again by npm and checks it.
CHARTS := uplot
CHARTS_VERSION := 1.6.32
CHARTS_SHA256 := 4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d
PYTEST := $(BIN)/python -X dev -m pytest

.PHONY: help docs vendor install install-dev test-tools demo test test-long lint format lock bench clean

help:
	@echo 'make demo         a sample catalogue with a running server: what to type is printed'
	@echo 'make test         install what the tests need and run them all'
	@echo 'make test-long    the exhaustive tests: minutes to hours'
	@echo 'make lint         ruff and mypy --strict'
	@echo 'make format       let ruff put the code in order'
	@echo 'make docs         make anew the pages of docs/ that are made from tables of the code'
	@echo 'make bench        measure beside Zebra: tables in Markdown, RECORDS=100000 BENCH="--keep --rows sort"'
	@echo 'make install      .venv with the locked dependencies and the lianmu command'
	@echo 'make install-dev  the same with what tests and checks need'
	@echo 'make test-tools   the Debian and npm packages that the tests need'
	@echo 'make vendor       get again what server/pages/vendor holds, by npm, checked'
	@echo 'make lock         pin the newest dependencies in requirements*.txt'
	@echo 'make clean        remove .venv, .node and what the tools keep'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Lianmu needs Python 3.11 or newer: set PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo 'python3-venv is missing: apt-get install python3-venv'; rm -rf $(VENV); exit 1; }

$(VENV)/installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

install: $(VENV)/installed

install-dev: $(VENV)/installed-dev

test-tools:
	@for program in yaz-client zoomsh zebrasrv xmllint tshark curl chromium chromedriver faketime \
		haproxy promtool systemd-analyze; do \
		command -v $$program >/dev/null || missing=yes; done; \
	for module in ZOOM Catmandu::Importer::SRU Catmandu::MARC; do \
		perl -M$$module -e1 2>/dev/null || missing=yes; done; \
	test -x /usr/sbin/logrotate || missing=yes; \
	test -f /usr/share/yaz/etc/MARC21slim2MODS.xsl || missing=yes; \
	test -f /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc || missing=yes; \
	test -f /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf || missing=yes; \
	command -v npm >/dev/null || { missing=yes; node='nodejs npm'; }; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
		$$sudo apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends \
			$(TEST_TOOLS) $$node; \
	fi
	@grep -qs '"version": "$(SRU_CLIENT_VERSION)"' $(NODE)/node_modules/$(SRU_CLIENT)/package.json && \
		grep -qs '"version": "$(AXE_VERSION)"' $(NODE)/node_modules/$(AXE)/package.json || \
		npm install --prefix $(NODE) --no-save --no-package-lock --no-audit --no-fund \
			--ignore-scripts --loglevel=error \
			$(SRU_CLIENT)@$(SRU_CLIENT_VERSION) $(AXE)@$(AXE_VERSION) || \
		echo '$(SRU_CLIENT) and $(AXE) could not be installed: the tests that need them will fail'

demo: install
	$(BIN)/lianmu demo

test: install-dev test-tools
	$(PYTEST) -m 'not long' -n 2 --dist loadfile --durations=15

test-long: install-dev test-tools
	$(PYTEST) -m long --timeout=3600

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install-dev
	$(BIN)/python -m docs.z3950
	$(BIN)/python -m docs.sru
	$(BIN)/python -m docs.validation
	$(BIN)/python -m docs.api
	$(BIN)/python -m docs.rights
	$(BIN)/python -m docs.metrics
	$(BIN)/python -m docs.dashboard

vendor:
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	npm pack --silent --pack-destination "$$folder" $(CHARTS)@$(CHARTS_VERSION) >/dev/null && \
	echo "$(CHARTS_SHA256)  $$folder/$(CHARTS)-$(CHARTS_VERSION).tgz" | sha256sum --check --quiet && \
	tar -xzf "$$folder"/*.tgz -C "$$folder" && \
	cp "$$folder/package/dist/uPlot.iife.min.js" server/pages/vendor/uPlot.min.js && \
	cp "$$folder/package/dist/uPlot.min.css" server/pages/vendor/uPlot.min.css && \
	cp "$$folder/package/LICENSE" server/pages/vendor/uPlot.LICENSE && \
	cd server/pages/vendor && sha256sum uPlot.LICENSE uPlot.min.css uPlot.min.js >SHA256SUMS

bench: install-dev test-tools
	$(BIN)/python -m benchmarks.table --records $(or $(RECORDS),100000) $(BENCH)

lock: | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--output-file requirements.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml

clean:
	rm -rf $(VENV) $(NODE) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
