"""Lists the mutants that cosmic-ray makes of a module, as JSON: ``list_python.py LIBRARIES MODULE``.

It runs in a process of its own, because the library and all that it needs lie in a folder of their own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Print a list of objects with line, column, function, change, and the code with the change."""
    sys.path.insert(0, sys.argv[1])
    from cosmic_ray.ast import ast_nodes, get_ast  # type: ignore[import-not-found]
    from cosmic_ray.ast.ast_query import ASTQuery  # type: ignore[import-not-found]
    from cosmic_ray.mutating import mutate_code  # type: ignore[import-not-found]
    from cosmic_ray.plugins import get_operator, operator_names  # type: ignore[import-not-found]

    code = Path(sys.argv[2]).read_text(encoding="utf-8")
    tree = get_ast(code)
    found = []
    for name in sorted(operator_names()):
        make = get_operator(name)
        # The others replace a variable that the user names.
        if make.arguments():
            continue
        operator = make()
        places = [(node, start) for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        for occurrence, (node, (line, column)) in enumerate(places):
            changed = mutate_code(code, operator, occurrence)
            if changed is not None and changed != code:
                function = ASTQuery(node).get_definition_name() or ""
                change = f"{name.removeprefix('core/')} in {function or 'the module'}"
                row = {"line": line, "column": column, "function": function, "change": change, "code": changed}
                found.append(row)
    found.sort(key=lambda row: (row["line"], row["column"], row["change"]))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
