"""Text that comes from inputs and from the parser, made fit to stand in Markdown and XML: it may hold anything."""

from __future__ import annotations

# Whatever means something to a Markdown reader, @ and # for the forge that shows it included.
_MARKUP = {ord(char): f"&#{ord(char)};" for char in "\\`*_{}[]()<>#+!|~&@:\"'$=^"}


def plain(text: str, most: int = 1000) -> str:
    """``text`` in one line of at most ``most`` printable characters; all others in hexadecimal.

    What is no character at all (half of a surrogate pair) is spelled so too, and so is what turns the direction of reading.
    """
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
    """:func:`plain` text as code, in a paragraph or a table: no markup, no link, and nobody is notified by it."""
    return f"<code>{plain(text, most).translate(_MARKUP)}</code>"


def fenced(text: str, language: str = "") -> str:
    """A block of code of Markdown that ``text`` cannot leave: its fence is longer than any row of backquotes in it."""
    lines = "\n".join(
        "".join(char if char.isprintable() or char == "\t" else f"\\x{ord(char):02x}" for char in line)
        for line in text.rstrip("\n").split("\n")
    )
    longest = run = 0
    for char in lines:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{lines}\n{fence}\n"
