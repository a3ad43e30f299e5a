# Everything a newcomer needs: `make demo` and `make test`. Each makes .venv if needed.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DEMO := .demo
SMOKE := .smoke
SITE := site

STAGE ?= 1
OUT ?= gpu
GPU_HOME ?= .gpu-home

.PHONY: help install demo smoke test test-slow check docs notebook gpu readme lock clean

help:
	@echo "make demo       Table 5 end to end on wide stand-in roads, some minutes on a laptop; report in $(DEMO)/report"
	@echo "make smoke      all tables and figures end to end on stand-in scenes; report in $(SMOKE)/report"
	@echo "make test       the test suite, a few minutes on two cores"
	@echo "make test-slow  the long tests: full-size networks, kills at many moments, two commands at once"
	@echo "make check      ruff and mypy --strict"
	@echo "make docs       the documentation site in $(SITE); a broken link ends it"
	@echo "make notebook   run the notebook and the tutorial on invented scenes, under three minutes each on one core"
	@echo "make gpu        STAGE=1|2 on a graphics card, at most four minutes each, into the folder OUT; data from GPU_HOME if it has any"
	@echo "make readme     renew the README's result table from the published results"
	@echo "make lock       renew requirements.lock"

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m ensurepip --upgrade > /dev/null
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "installing into .venv: up to 8 GB with torch for CUDA; TORCH_BACKEND=cpu takes its CPU build"
	$(BIN)/uv pip install --python $(BIN)/python $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND)) \
		--compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: $(INSTALLED)
	$(BIN)/rssam-bench --home $(DEMO) prepare deepglobe --synthetic 24 --wide
	$(BIN)/rssam-bench --home $(DEMO) reproduce table5 --profile demo --jobs 2
	$(BIN)/rssam-bench --home $(DEMO) report table5 fig7 --out $(DEMO)/report
	@echo "open $(DEMO)/report/report.html"

smoke: $(INSTALLED)
	for data in deepglobe whu whdld; do $(BIN)/rssam-bench --home $(SMOKE) prepare $$data --synthetic 24 || exit 1; done
	$(BIN)/rssam-bench --home $(SMOKE) reproduce all --profile smoke --jobs 2
	$(BIN)/rssam-bench --home $(SMOKE) report --out $(SMOKE)/report

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(SITE)
	@echo "open $(SITE)/index.html; with its search: python3 -m http.server --directory $(SITE)"

notebook: $(INSTALLED)
	$(BIN)/python -m pytest -m slow tests/test_notebook.py tests/test_tutorial.py

# Installs nothing: such a machine may have no network, and brings its own torch. PYTHONPATH stays: wheels may lie there.
gpu:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) docs/measure/gpu.py --stage $(STAGE) --out $(OUT) --home $(GPU_HOME)

readme: $(INSTALLED)
	$(BIN)/python -m reports.readme

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra docs --extra onnx --extra ray --upgrade \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv $(DEMO) $(SMOKE) $(SITE) build *.egg-info .mypy_cache .ruff_cache
