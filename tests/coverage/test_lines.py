"""How a page shows a line: cut at the borders of regions, folded where there is no code."""

from __future__ import annotations

from harness.coverage.counts import PythonFile, Region, RustFile, Segment
from harness.coverage.lines import Fold, Line, folded, python_lines, rust_lines
from harness.coverage.rust_source import Source

TEXT = """\
fn called(x: u8) {
    if x > 1 { panic!() }
    ok();
}
fn dead() {
    never();
}
"""


def rust_file() -> RustFile:
    segments = [
        Segment(1, 1, 5, True),
        Segment(2, 14, 0, True),
        Segment(2, 26, 5, True),
        Segment(4, 2, 0, False),
        Segment(5, 1, 0, True),
        Segment(7, 2, 0, False),
    ]
    regions = {Region(1, 1, 4, 2): 5, Region(2, 14, 2, 26): 0, Region(5, 1, 7, 2): 0}
    return RustFile("x.rs", Source(TEXT.encode()), regions, {1: 5, 2: 5, 3: 5, 4: 5, 5: 0, 6: 0, 7: 0}, segments)


def test_missed_pieces_within_a_line():
    line = rust_lines(rust_file())[1]
    assert line.status == "partial"
    assert line.pieces == [("    if x > 1 ", "hit"), ("{ panic!() }", "miss")]
    assert "".join(text for text, _ in line.pieces) == TEXT.splitlines()[1]


def test_no_text_is_lost_or_added():
    assert ["".join(text for text, _ in line.pieces) for line in rust_lines(rust_file())] == TEXT.split("\n")


def test_excluded_functions_are_neither_hit_nor_missed():
    file = rust_file()
    file.excluded[5, 1] = "nobody calls it"
    lines = rust_lines(file)
    assert [line.status for line in lines] == [
        "hit",
        "partial",
        "hit",
        "hit",
        "excluded",
        "excluded",
        "excluded",
        "plain",
    ]
    assert lines[4].note == "excluded: nobody calls it"
    assert file.line_tally.reachable == 4
    assert file.function_tally.total == 2
    assert file.function_tally.reachable == 1


def test_indentation_is_not_marked_as_missed():
    lines = rust_lines(rust_file())
    assert lines[5].status == "miss"
    assert lines[5].pieces == [("    ", "plain"), ("never();", "miss")]


def test_columns_count_bytes():
    source = "fn f() { \u00e9(); g() }"
    start = len("fn f() { \u00e9(); ".encode()) + 1
    file = RustFile(
        "x.rs",
        Source(source.encode()),
        {},
        {1: 1},
        [Segment(1, 1, 1, True), Segment(1, start, 0, True), Segment(1, start + 3, 1, True)],
    )
    assert rust_lines(file)[0].pieces == [("fn f() { \u00e9(); ", "hit"), ("g()", "miss"), (" }", "hit")]


def test_python_lines_name_the_ways_not_taken():
    source = ["def f(x):", "    if x:", "        a()", "    while x:", "        b()"]
    file = PythonFile(
        "f.py", source, {1: 1, 2: 1, 3: 0, 4: 1, 5: 1}, {(2, 3): 0, (2, 4): 1, (4, 5): 1, (4, -1): 0, (3, 4): 0}
    )
    lines = python_lines(file)
    assert [line.status for line in lines] == ["hit", "partial", "miss", "partial", "hit"]
    assert lines[1].note == "never goes to line 3"
    # What lies behind a line that never ran is not news.
    assert lines[2].note == ""
    assert lines[3].note == "never goes out of the function"
    assert (file.branch_tally.covered, file.branch_tally.total) == (2, 5)


def code(number: int) -> Line:
    return Line(number, 1, "hit", [])


def blank(number: int) -> Line:
    return Line(number, None, "plain", [])


def test_long_runs_without_code_are_folded_with_context():
    lines = [code(1), *(blank(n) for n in range(2, 32)), code(32), blank(33), code(34)]
    shown = list(folded(lines))
    assert [x.number if isinstance(x, Line) else (x.first, x.last) for x in shown] == [
        1, 2, 3, 4, (5, 28), 29, 30, 31, 32, 33, 34,
    ]  # fmt: skip


def test_the_ends_of_a_file_are_folded_to_nothing_but_the_fold():
    lines = [*(blank(n) for n in range(1, 21)), code(21), *(blank(n) for n in range(22, 50))]
    shown = list(folded(lines))
    assert shown[0] == Fold(1, 17)
    assert shown[-1] == Fold(25, 49)
