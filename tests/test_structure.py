"""The structure of the code, beyond the contracts in pyproject.toml."""

from __future__ import annotations

import graphlib

import pytest

grimp = pytest.importorskip("grimp", reason="the extra dev brings it, with import-linter")


def test_no_module_imports_itself_through_others() -> None:
    """Imports within functions count, too."""
    graph = grimp.build_graph("harness", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "harness.engine.campaign.main" in imports["harness.engine.unit"]
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"cycle of imports: {' <- '.join(error.args[1])}")
