"""The pages for people are short and use short sentences."""

from __future__ import annotations

import re
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
