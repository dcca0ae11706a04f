"""The functions of a parser, by place in its source: Rust and Python."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.coverage.rust_source import Source
from harness.parsers.registry import Parser

#: The folder of the Python files in upstream's tree.
PYTHON = "py_src"


class Place(NamedTuple):
    """A function: its file in the source tree, its name, and its first line."""

    file: str
    function: str
    line: int


class Functions:
    """The functions of the build ``parser``. A file is named as in the source tree: ``py_src/safetensors/torch.py``."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._rust: dict[str, Source] = {}
        self._python: dict[str, list[tuple[int, int, str]]] = {}
        self._statements: dict[str, list[tuple[int, int]]] = {}
        self._places: dict[tuple[str, int, int], Place | None] = {}

    def at(self, file: str, line: int, column: int = 0) -> Place | None:
        """The innermost function around a place; column 0 is the first text of the line. None outside of functions."""
        asked = file, line, column
        if asked not in self._places:
            in_rust = file.endswith(".rs")
            self._places[asked] = self._in_rust(file, line, column) if in_rust else self._in_python(file, line)
        return self._places[asked]

    def _in_python(self, file: str, line: int) -> Place | None:
        if file not in self._python:
            self._python[file] = list(_spans(self._tree(file)))
        around = [span for span in self._python[file] if span[0] <= line <= span[1]]
        return Place(file, around[-1][2], around[-1][0]) if around else None

    def statement(self, file: str, line: int) -> int:
        """The first line of the innermost statement of Python around a line; 0 where there is none."""
        if file not in self._statements:
            every = (node for node in ast.walk(self._tree(file)) if isinstance(node, ast.stmt))
            self._statements[file] = [(node.lineno, node.end_lineno or node.lineno) for node in every]
        return max((first for first, last in self._statements[file] if first <= line <= last), default=0)

    def _tree(self, file: str) -> ast.Module:
        path = self._parser.site / Path(file).relative_to(PYTHON)
        return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")

    def _in_rust(self, file: str, line: int, column: int) -> Place | None:
        if file not in self._rust:
            path = self._parser.source / file
            if not path.is_file():
                return None
            self._rust[file] = Source(path.read_bytes())
        source = self._rust[file]
        if not 0 < line <= len(source.lines):
            return None
        text = source.lines[line - 1]
        found = source.function_at((line, column or len(text) - len(text.lstrip()) + 1))
        return Place(file, found.name, found.start[0]) if found else None


def _spans(tree: ast.AST, around: str = "") -> Iterator[tuple[int, int, str]]:
    """First line, last line and qualified name of each function, those around others first."""
    for node in ast.iter_child_nodes(tree):
        name = around
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{around}{node.name}."
            if not isinstance(node, ast.ClassDef):
                yield node.lineno, node.end_lineno or node.lineno, name[:-1]
        yield from _spans(node, name)
