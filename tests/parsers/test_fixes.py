"""Edits of defect records: where they apply, and the records that are refused with nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import defects
from harness.findings.defects import Defect, Edit
from harness.parsers import fixes, sources
from harness.targets.registry import all_targets

NUMPY, LIB = "py_src/safetensors/numpy.py", "bindings/python/src/lib.rs"


def record(name: str, *edits: tuple[str, str, str]) -> Defect:
    made = tuple(Edit(*edit) for edit in edits)
    return Defect(name, "a", "b", ("a:1",), "c", "wrong data", "caller", "ordinary", "0.8.0", ("d",), edits=made)


@pytest.fixture(params=["", "bindings/python/"], ids=["sdist", "checkout"])
def tree(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    for name, text in ((f"{request.param}{NUMPY}", "one = 1\r\ntwo = 2\n"), (LIB, "fn a() {}\nfn b() {}\n")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def texts(tree: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_anchors_are_looked_up_in_the_original_whatever_the_order(tree: Path) -> None:
    one = record("one", (NUMPY, "two = 2", "one = 1"), (LIB, "fn a", "fn c"))
    two = record("two", (NUMPY, "one = 1", "two = 2"), (LIB, " {}\nfn b", " {}\nfn d"))
    fixes.apply(tree, [one, two])
    assert texts(tree) == {"numpy.py": b"two = 2\r\none = 1\n", "lib.rs": b"fn c() {}\nfn d() {}\n"}
    assert fixes.ingredients([one, two]) == fixes.ingredients([two, one])
    assert fixes.touched([one, two]) == [NUMPY, LIB]


@pytest.mark.parametrize(
    ("edits", "fault"),
    [
        ([(NUMPY, "three", "")], r"the record bad: its anchor 'three' does not occur in .*numpy\.py"),
        ([(NUMPY, "", "a")], "its anchor '' does not occur"),
        ([(LIB, "fn ", "")], r"its anchor 'fn ' occurs more than once in .*lib\.rs"),
        ([(NUMPY, " = ", "")], "occurs more than once"),
        ([("py_src/none.py", "a", "b")], r"the record bad edits py_src/none\.py, which the source lacks"),
        ([("../numpy.py", "one", "b")], "which the source lacks"),
        ([(LIB, "fn a()", "x"), (LIB, "a() {", "y")], r"the record bad: edits of bindings/python/src/lib\.rs overlap"),
        ([(NUMPY, "= 1\r\ntwo", "x")], "the records bad and good: edits of .*numpy.py overlap"),
        ([], "the record bad has no edits"),
    ],
)  # fmt: skip
def test_a_record_that_does_not_fit_is_named_and_nothing_is_written(
    tree: Path, edits: list[tuple[str, str, str]], fault: str
) -> None:
    (tree.parent / "numpy.py").write_text("one")
    before = texts(tree)
    good = record("good", (NUMPY, "two = 2", "three = 3"))
    with pytest.raises(HarnessError, match=fault) as caught:
        fixes.apply(tree, [good, record("bad", *edits)])
    assert caught.value.hint
    assert texts(tree) == before


def test_occurrences_that_overlap_each_other_are_two(tree: Path) -> None:
    (tree / LIB).write_text("aaa")
    with pytest.raises(HarnessError, match="occurs more than once"):
        fixes.apply(tree, [record("bad", (LIB, "aa", ""))])


def test_the_fixes_on_record_apply_to_the_release_together(sdist: Path, tmp_path: Path) -> None:
    all_targets()
    mended = [one for one in defects.defects() if one.edits]
    sources.unpack(sdist, tmp_path / "tree")
    before = texts(tmp_path / "tree")
    fixes.apply(tmp_path / "tree", mended)
    changed = {name for name, text in texts(tmp_path / "tree").items() if text != before[name]}
    assert changed == {Path(file).name for file in fixes.touched(mended)}
