# `make fuzz` and `make test` set up all they need. A second run starts at once.
#   make fuzz TIME=10m ARGS="--target deserialize"
#   make test PYTHON=python3.13
PYTHON ?= python3
TIME ?= 60s
ARGS ?=

.DELETE_ON_ERROR:
.PHONY: help fuzz test lint lock clean

help:
	@sed -n '1,3s/^# *//p' Makefile

# `harness fuzz` ends with 1 on new findings. Here a campaign that ran is a success.
fuzz:
	@set -e; venv=$$(.ci/setup "$(PYTHON)"); \
	"$$venv/bin/harness" build; \
	"$$venv/bin/harness" build --wheel || echo "fuzz: no wheel build; findings are not tried on the released wheel" >&2; \
	status=0; "$$venv/bin/harness" fuzz --time "$(TIME)" $(ARGS) || status=$$?; \
	[ $$status -le 1 ] || exit $$status; \
	if "$$venv/bin/python" -m harness.parsers.toolchain >/dev/null; then \
	  "$$venv/bin/harness" coverage $(if $(findstring --campaign,$(ARGS)),,--campaign build/campaigns/main) || echo "fuzz: the campaign ran; the coverage page failed, see above" >&2; \
	else echo "fuzz: no coverage page: LLVM tools that match rustc are missing; run harness doctor" >&2; fi

test:
	@set -e; venv=$$(.ci/setup "$(PYTHON)" torch); \
	"$$venv/bin/harness" build; \
	"$$venv/bin/harness" build --wheel; \
	status=0; .ci/lint "$$venv" || status=$$?; \
	echo "test: pytest"; \
	"$$venv/bin/python" -m pytest -q -n 2 $(ARGS) || status=$$?; \
	exit $$status

lint:
	@set -e; venv=$$(.ci/setup "$(PYTHON)"); .ci/lint "$$venv"

# Needs uv. The lock files hold no index and no download address; the installing machine chooses the index.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements.lock
	.ci/lock-torch
	.ci/lock-cluster
	.ci/checkpoints lock
	.ci/mutants lock

clean:
	rm -rf build dist .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find harness tests -name __pycache__ -type d -prune -exec rm -rf {} +
