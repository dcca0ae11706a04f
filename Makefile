# Two commands: `make fuzz` and `make test`. Each sets up what it needs; the second time that takes a moment.
#   make fuzz TIME=10m ARGS="--target deserialize"
#   make test PYTHON=python3.13
PYTHON ?= python3
TIME ?= 60s
ARGS ?=

.DELETE_ON_ERROR:
.PHONY: help fuzz test lint lock clean

help:
	@sed -n '1,3s/^# *//p' Makefile

# The campaign's own exit status says 1 for new findings; here a campaign that ran is a success.
fuzz:
	@set -e; venv=$$(.ci/setup "$(PYTHON)"); \
	"$$venv/bin/harness" build; \
	"$$venv/bin/harness" build --wheel || echo "fuzz: going on; findings cannot say whether the released wheel has them" >&2; \
	status=0; "$$venv/bin/harness" fuzz --time "$(TIME)" $(ARGS) || status=$$?; \
	[ $$status -le 1 ] || exit $$status; \
	if "$$venv/bin/python" -m harness.parsers.toolchain >/dev/null; then \
	  "$$venv/bin/harness" coverage $(if $(findstring --campaign,$(ARGS)),,--campaign build/campaigns/main) || echo "fuzz: the campaign ran, but there is no coverage page; see above" >&2; \
	else echo "fuzz: no coverage page without LLVM tools that match rustc; harness doctor says how to get them" >&2; fi

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

# Needs uv. Neither an index nor a download address gets into the file: whoever installs decides where from.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements.lock
	.ci/lock-torch

clean:
	rm -rf build dist .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find harness tests -name __pycache__ -type d -prune -exec rm -rf {} +
