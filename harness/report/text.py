"""Makes text of inputs and of the parser safe for Markdown and XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# Characters with a meaning in Markdown, and the @ and # of a forge.
_MARKUP = {ord(char): f"&#{ord(char)};" for char in "\\`*_{}[]()<>#+!|~&@:\"'$=^"}


def plain(text: str, most: int = 1000) -> str:
    """``text`` in one line of at most ``most`` characters, with those that cannot be printed in hexadecimal."""
    clean = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[: most + 1])
    return clean if len(clean) <= most else clean[: most - 3] + "..."


def cell(text: str, most: int = 300) -> str:
    """:func:`plain` text in which nothing is markup, for a paragraph or a table of Markdown that we write ourselves."""
    cut = plain(text, most)
    for mark in ("\\", "|", "<", "*", "_", "`", "["):
        cut = cut.replace(mark, "\\" + mark)
    return cut


def inert(text: str, most: int = 300) -> str:
    """:func:`plain` text for a forge's Markdown, where ``@name`` notifies, ``#1`` links and a web address is a link."""
    return plain(text, most).translate(_MARKUP).replace("&#64;", "&#64;\u2060").replace("&#35;", "&#35;\u2060")


def code(text: str, most: int = 300) -> str:
    """Plain text as code in Markdown: no markup, no link, no notification."""
    return f"<code>{plain(text, most).translate(_MARKUP)}</code>"


def fenced(text: str, language: str = "") -> str:
    """A block of code in Markdown. Its fence is longer than any run of backquotes in ``text``."""
    lines = "\n".join(
        "".join(char if char.isprintable() or char == "\t" else f"\\x{ord(char):02x}" for char in line)
        for line in text.rstrip("\n").split("\n")
    )
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", lines))])
    return f"{fence}{language}\n{lines}\n{fence}\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[str] = ()) -> str:
    """A table in Markdown; columns whose head is in ``numbers`` are right-aligned. Cells must be safe already."""
    rule = "|".join("---:" if head in numbers else "---" for head in heads)
    lines = [" | ".join(map(str, row)) for row in (heads, *rows)]
    return "".join([f"| {lines[0]} |\n|{rule}|\n", *(f"| {line} |\n" for line in lines[1:])])
