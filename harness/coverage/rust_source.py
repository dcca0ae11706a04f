"""The functions of a Rust source file, by name and place, read from its text.

llvm-cov names functions by mangled names, which differ by instantiation and compiler. The names of the source are stable:
``SafeTensors::tensor`` or ``<SafeTensorError as Display>::fmt``. A region belongs to the innermost function around it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

_COMMENT_OR_LITERAL = re.compile(
    r"""
      //[^\n]*
    | /\*
    | \bb?r(?P<hashes>\#*)".*?"(?P=hashes)
    | b?"(?:\\.|[^"\\])*"
    | b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[\x80-\xff]{2,4}|[^\\'\n])'
    """,
    re.VERBOSE | re.DOTALL,
)
_ITEM = re.compile(r"\b(?:fn\s+(?P<fn>\w+)|impl\b|trait\s+(?P<trait>\w+))")
_LIFETIME = re.compile(r"'\w+\s*,?\s*")
_LEFT_EMPTY = re.compile(r"<\s*>|,\s*(?=>)")
#: The head of a match arm of a framework that is neither numpy nor torch.
_ARM = re.compile(r"\b(?:Framework|Storage)::(Paddle|Flax|Tensorflow|Mlx)\b(?:\s*\([^()]*\))?\s*=>\s*")
_PATH = re.compile(r"\b(?:\w+::)+(?=\w)")


@dataclass(frozen=True, slots=True)
class Function:
    """A function and the place of its text: ``(line, column)`` of its first and past its last byte, counted from 1."""

    name: str
    start: tuple[int, int]
    end: tuple[int, int]

    def contains(self, place: tuple[int, int]) -> bool:
        """Whether the text at ``place`` is part of this function."""
        return self.start <= place < self.end


@dataclass(frozen=True, slots=True)
class _Item:
    kind: str
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Arm:
    """The place of a match arm for ``framework``, as that of a :class:`Function`."""

    framework: str
    start: tuple[int, int]
    end: tuple[int, int]


class Source:
    """One Rust file: its lines, its functions, and its match arms for frameworks other than numpy and torch."""

    def __init__(self, raw: bytes) -> None:
        # Places are counted in bytes; Latin-1 makes a character of each.
        text = raw.decode("latin-1")
        self.lines = raw.split(b"\n")
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        code = _blanked(text)
        self.functions = self._named(_items(code))
        self.arms = [
            Arm(match[1].lower(), self._place(match.start()), self._place(_end_of_arm(code, match.end())))
            for match in _ARM.finditer(code)
        ]

    def function_at(self, place: tuple[int, int]) -> Function | None:
        """The innermost function around ``(line, column)``."""
        # Nested functions come after those around them.
        return next((f for f in reversed(self.functions) if f.contains(place)), None)

    def framework_at(self, place: tuple[int, int]) -> str:
        """The framework of the match arm around ``(line, column)``; "" for code that numpy or torch may reach."""
        return next((arm.framework for arm in self.arms if arm.start <= place < arm.end), "")

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def _named(self, items: list[_Item]) -> list[Function]:
        functions = []
        around: list[_Item] = []
        for item in items:
            while around and around[-1].end <= item.start:
                around.pop()
            if item.kind == "fn":
                name = "::".join([*(o.name for o in around), item.name])
                line, column = self._place(item.start)
                before = self.lines[line - 1][: column - 1]
                # `pub(crate) const unsafe` and the like belong to the function.
                first = len(before) - len(before.lstrip()) + 1
                functions.append(Function(name, (line, first), self._place(item.end)))
            around.append(item)
        return functions


def _blanked(text: str) -> str:
    """``text`` with comments and literals replaced by as many spaces, so that braces can be counted."""
    pieces = []
    at = 0
    while match := _COMMENT_OR_LITERAL.search(text, at):
        end = _end_of_comment(text, match.start()) if match[0] == "/*" else match.end()
        pieces += [text[at : match.start()], re.sub(r"[^\n]", " ", text[match.start() : end])]
        at = end
    pieces.append(text[at:])
    return "".join(pieces)


def _end_of_comment(text: str, start: int) -> int:
    """The end of the block comment at ``start``; Rust nests them."""
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(text)


def _end_of_arm(code: str, start: int) -> int:
    """The end of the body of a match arm: that of its block, or of its expression."""
    depth = 0
    for mark in re.compile(r"[{}()\[\],]").finditer(code, start):
        if mark[0] in "{([":
            depth += 1
        elif mark[0] != ",":
            depth -= 1
        if depth < 0 or (not depth and mark[0] == ","):
            return mark.start()
        if not depth and mark[0] == "}" and code[start] == "{":
            return mark.end()
    return len(code)


def _items(code: str) -> list[_Item]:
    """Functions, impls and traits with a body, in the order of the text."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for brace in re.compile(r"[{}]").finditer(code):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            closing[opened.pop()] = brace.end()
    found = []
    for match in _ITEM.finditer(code):
        body = re.compile(r"[{;]").search(code, match.end())
        # `-> impl Trait` and `x: impl Trait` are types, not items.
        is_type = match[0] == "impl" and not re.search(r"(?:^|[}{;\]])\s*(?:unsafe\s+)?$", code[: match.start()])
        if body is None or body[0] == ";" or body.start() not in closing or is_type:
            continue
        kind = "fn" if match["fn"] else "trait" if match["trait"] else "impl"
        name = match["fn"] or match["trait"] or _impl_name(code[match.end() : body.start()])
        found.append(_Item(kind, name, match.start(), closing[body.start()]))
    return found


def _impl_name(header: str) -> str:
    """``Type`` or ``<Type as Trait>`` from the text between ``impl`` and its brace."""
    header = header.strip()
    if header.startswith("<"):
        depth = 0
        for at, char in enumerate(header):
            depth += (char == "<") - (char == ">" and header[at - 1] != "-")
            if not depth:
                header = header[at + 1 :]
                break
    header = re.split(r"\bwhere\b", header)[0]
    header = _LEFT_EMPTY.sub("", _LIFETIME.sub("", header))
    header = " ".join(_PATH.sub("", header).split())
    trait, separator, kind = header.partition(" for ")
    return f"<{kind.strip()} as {trait.strip()}>" if separator else header
