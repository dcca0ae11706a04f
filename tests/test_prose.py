"""The pages for people are short and use short sentences; so do the docstrings and messages in the sources."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [
    *(
        ROOT / name
        for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "corpus/README.md", "crashes/README.md")
    ),
    *sorted((ROOT / "docs").glob("*.md")),
]

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"`[^`]*`")
_ITEM = re.compile(r"^ *(?:[-*]|\d+\.) +")
_END = re.compile(r"""(?<=[.!?])["')*]*\s+(?=["'(*`\w])""")
_WORD = re.compile(r"\w[\w'’.,%-]*")

SOURCES = sorted((ROOT / "harness").rglob("*.py"))
LONGEST = 35
#: A sentence begins with its subject, a noun, and not with a clause in place of one.
_CLAUSE = re.compile(r"""["'(*]*(?:What|Whatever|Whoever|Whose|Who)\b""")
_ROLE = re.compile(r":[a-z]+:(`[^`]*`)")
_SPAN = re.compile(r"``.*?``|`[^`]*`", re.DOTALL)
#: Calls whose text people read, and the arguments of other calls that are such text.
_CALLS = re.compile(r"_?[Rr]ule|Case|\w*Error|ClickException|BadParameter")
_ARGUMENTS = ("help", "short_help", "epilog", "title", "why", "should", "hint")


def blocks(text: str) -> list[str]:
    """Paragraphs and list items; no code, tables or headings."""
    found: list[list[str]] = [[]]
    for line in _FENCE.sub("", text).splitlines():
        if not line.strip() or line.startswith(("|", "#", "    ", "<!--")):
            found.append([])
        elif _ITEM.match(line):
            found.append([_ITEM.sub("", line)])
        else:
            found[-1].append(line.strip())
    return [" ".join(lines) for lines in found if lines]


def sentences(text: str) -> list[str]:
    """Sentences of a page in Markdown. A span of code is one word, of a link only the text counts."""
    plain = (_CODE.sub("`code`", _LINK.sub(r"\1", block)) for block in blocks(text))
    return [sentence for block in plain for sentence in _END.split(block) if _WORD.search(sentence)]


def words(sentence: str) -> int:
    return len(_WORD.findall(sentence))


def check(path: Path, average: float, longest: int) -> None:
    """Fail with the page and the sentences to shorten."""
    name = path.relative_to(ROOT).as_posix()
    found = sentences(path.read_text(encoding="utf-8"))
    long = [f"{words(one)} words: {one}" for one in found if words(one) > longest]
    assert not long, f"{name} has sentences of more than {longest} words:\n" + "\n".join(long)
    if found:
        longest_first = sorted(found, key=words, reverse=True)[:5]
        said = mean(map(words, found))
        assert said <= average, f"{name}: {said:.1f} words a sentence, not {average}; the longest:\n" + "\n".join(
            longest_first
        )


def test_the_readme_is_short() -> None:
    count = len(README.read_text(encoding="utf-8").split())
    assert count <= 350, f"README.md has {count} words"
    check(README, average=14, longest=30)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sentences_are_short(path: Path) -> None:
    check(path, average=18, longest=40)


def test_sentences_are_found_where_they_are() -> None:
    text = "# No\n\nOne `a. B` two. Three\n[four](x. Y)!\n\n- five\n- six,\n  seven\n\n    no code. No\n\n| no. No |\n\n```\nno. No\n```\n"
    assert [words(one) for one in sentences(text)] == [3, 2, 1, 2]


# -- docstrings, help texts, rules, messages and comments of the sources --------------------------------------------------


def written(node: ast.expr) -> str:
    """The text of a literal, with the word `value` in place of each value; "" for other expressions."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(written(part) or "`value`" for part in node.values)
    return ""


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each docstring, of an attribute too, help text, text of a rule and message, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            known = _CALLS.fullmatch(name) is not None
            told = [*node.args, *(one.value for one in node.keywords)] if known else []
            told += [one.value for one in node.keywords if not known and one.arg in _ARGUMENTS]
            yield from ((one.lineno, text) for one in told if " " in (text := written(one)))


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Each block of comment lines, with its first line."""
    first, column, lines = 0, 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, place = token.start
        if lines and (line, place) != (first + len(lines), column):
            yield first, "\n".join(lines)
            lines = []
        if not lines:
            first, column = line, place
        lines.append(token.string.lstrip("#: "))
    if lines:
        yield first, "\n".join(lines)


def said(text: str) -> list[str]:
    """Sentences of a docstring or a comment, whose paragraphs may be indented. A span of code is one word."""
    plain = _SPAN.sub("`code`", _ROLE.sub(r"\1", text))
    return sentences("\n".join(line.strip() for line in plain.splitlines()))


def faults(source: str) -> list[tuple[int, str]]:
    """The sentences of a source that begin with a clause, or are too long, each with the line of its text."""
    found = list[tuple[int, str]]()
    tree = ast.parse(source)
    for line, text in texts(tree):
        for sentence in said(text):
            if _CLAUSE.match(sentence):
                found.append((line, f"begin with a noun: {sentence}"))
            if words(sentence) > LONGEST:
                found.append((line, f"{words(sentence)} words, not {LONGEST}: {sentence}"))
    for line, text in comments(source):
        found += [(line, f"begin with a noun: {one}") for one in said(text) if _CLAUSE.match(one)]
    # Titles and headings are made in many ways, so each literal counts by its first sentence.
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and " " in (text := written(node)) and _CLAUSE.match(text):
            found.append((node.lineno, f"begin with a noun: {said(text)[0]}"))
    return sorted(set(found))


def test_sentences_of_the_sources_begin_with_a_noun_and_are_short() -> None:
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{line}: {fault}"
        for path in SOURCES
        for line, fault in faults(path.read_text(encoding="utf-8"))
    ]
    assert len(SOURCES) > 200
    assert not found, "\n".join(["shorten or rephrase:", *found])


def test_faults_of_a_source_are_found_where_they_are() -> None:
    long = "word " * LONGEST
    source = f'''"""Good. What is bad.

    Whoever reads ``a. What``.
    """
# A comment
# of two lines. What it says.
x = 1  # Who
y = "What a title is"
"""{long}``code word``."""
raise HarnessError(f"{{y}} is bad. {long}{{x}}", hint="Whose file")
option(help="{long}more", name="{long}more")
'''
    assert [(line, fault.split(":")[0]) for line, fault in faults(source)] == [
        (1, "begin with a noun"),
        (1, "begin with a noun"),
        (5, "begin with a noun"),
        (7, "begin with a noun"),
        (8, "begin with a noun"),
        (9, "36 words, not 35"),
        (10, "36 words, not 35"),
        (10, "begin with a noun"),
        (11, "36 words, not 35"),
    ]
