"""The cost of calls: judged on how it grows over a family of files, never on a clock.

Each call has parts of a file that it has to look at (JSON that it reads or writes, data of tensors that it gives). Its cost
may grow with those, as fast as they do, and with nothing else.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import DENIAL, SIDE_EFFECT
from harness.oracles.leaks import DOS

INSTRUCTIONS = "instructions"
BYTES = "bytes"
COSTS = (BYTES, INSTRUCTIONS)

#: Exponent of a cost against what it is for, above which it grows too fast. Sorting names, n log n, is up to 1.2 here,
#: where the sort needs no buffer for few of them; the next that algorithms have is 1.5.
EXPONENT = 1.3
#: A cost that has grown by this factor over a family (sixteen times as large at its end) has grown.
GROWN = 1.5
#: The bytes that a call is for have stayed the same if they grew by less than this factor, or by fewer bytes than this: a
#: name that ends in a larger number is longer.
SAME = 1.2
SAME_BYTES = 64
#: The least growth of a cost that is no noise: instructions that the allocator spends on joining what was freed before.
LEAST = {INSTRUCTIONS: 20_000, BYTES: 0}
#: A cost is flat while it grows by less than this factor: hash tables that are seeded anew take a few per cent more or less.
NOISE = 1.05
#: Bytes that may be held at once: for a byte of JSON (the densest valid text, a shape of ones, takes 28 once it is
#: parsed) and for a byte of tensor data; beside them the steps in which buffers grow, and what any call may hold, however
#: small the file (the writer's own buffer is 1 MiB).
PER_TEXT = 40
PER_DATA = 4
STEP = 1 << 16
CONSTANT = 16 << 20

SUPERLINEAR = "superlinear"
UNRELATED = "unrelated"
MULTIPLE = "multiple"

#: Slices by any index and backend share their code. One cause has one name: that of the call and family that show it best.
_ALIKE = {"rows": "buffer"}
_ONE_CAUSE = {
    ("slice", "buffer", MULTIPLE, "memory"): ("slice-column", "rows"),
    ("slice", "buffer", UNRELATED, "memory"): ("slice-first-pread", "buffer"),
    ("slice", "empty-rows", UNRELATED, "memory"): ("slice-column", "empty-rows"),
}

COST = Rule(
    "resources.*",
    "resources",
    "memory",
    DENIAL,
    title="The cost of a call is out of proportion",
    why="The cost of the call is out of proportion. It is counted, not timed.",
    sentence=DOS,
    should="the cost of a call grows no faster than the part of the file that it needs",
    check="cost",
    cases=(
        Case(
            f"*/{UNRELATED}",
            why="A call that needs little of a file costs as much as the part that it does not need, and the file's author chose that part. The cost is counted, not timed.",
        ),
        Case(
            f"*/{SUPERLINEAR}",
            why="The cost grows faster than the file: ten times the size costs far more than ten times as much. It is counted, not timed.",
        ),
        Case(
            f"*/{MULTIPLE}",
            why="The call holds many times the memory of what it reads and gives. It is counted, not timed.",
        ),
        Case(
            "*/copies",
            SIDE_EFFECT,
            why="The call holds more copies of the data at once than the text allows, or than an older release held. Large models do not fit twice.",
            sentence="Zero-copy: Does reading the file require more memory than the original file ?",
        ),
        Case(
            "*/touched",
            why="The call touches memory out of proportion to a small file, or to a large header.",
        ),
        Case(
            "*/mapped",
            why="The call takes address space out of proportion to a small file, or to a large header. Limits of containers count it.",
        ),
        Case(
            "*/standstill",
            SIDE_EFFECT,
            why="The call keeps other Python threads from running, which upstream's test or an older release does not.",
            sentence="Test that serialize_file releases the GIL and can run concurrently.",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One call on one member of a family.

    ``size`` is the file's, ``text`` and ``data`` are the bytes of JSON and of tensors that the call is for. ``cost`` is in
    instructions or bytes allocated in all, ``peak`` in bytes held at once.
    """

    n: int
    size: int
    text: int
    data: int
    cost: int
    peak: int = 0

    @property
    def for_bytes(self) -> int:
        """The bytes that the cost may be proportional to."""
        return self.text + self.data


def grew(points: Sequence[Point]) -> float:
    """By which factor the cost grew from the first to the last member."""
    return max(points[-1].cost, 1) / max(points[0].cost, 1)


def exponent(points: Sequence[Point], cost: str = BYTES) -> float:
    """How fast a cost grows: 1 is in proportion, 2 is quadratic, 0 not at all.

    It is counted against the bytes that the call is for where those grow, else against ``n``. It is the median of the slopes
    between the logarithms of the steps of every two members. A constant part of the cost counts for nothing, and
    one member that is out of line does not either (Theil and Sen's estimator).
    """
    if len(points) < 3 or grew(points) < NOISE or _noise(points, cost):
        return 0.0
    sizes = [point.for_bytes for point in points] if _for_more(points) else [point.n for point in points]
    steps = [
        (math.log(sizes[i + 1] - sizes[i]), math.log(points[i + 1].cost - points[i].cost))
        for i in range(len(points) - 1)
        if sizes[i + 1] > sizes[i] and points[i + 1].cost > points[i].cost
    ]
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(steps, 2) if x2 > x1]
    return statistics.median(slopes) if slopes else 0.0


def _noise(points: Sequence[Point], cost: str) -> bool:
    return points[-1].cost - points[0].cost < LEAST[cost]


def _for_more(points: Sequence[Point]) -> bool:
    """Whether there is more to do for the last member than for the first."""
    first, last = points[0].for_bytes, points[-1].for_bytes
    return last >= SAME * first and last - first >= SAME_BYTES


def allowed(first: Point, last: Point) -> int:
    """Bytes that the last member may hold at once beyond what the first does."""
    return PER_TEXT * (last.text - first.text) + PER_DATA * (last.data - first.data) + STEP


def judge(call: str, family: str, words: str, cost: str, points: Sequence[Point]) -> list[Finding]:
    """Findings about the growth of one cost of one call over a family; ``words`` name the quantity that grows."""
    if len(points) < 3:
        return []
    first, last = points[0], points[-1]
    kind = "memory" if cost == BYTES else "time"
    what = "bytes allocated" if cost == BYTES else "instructions"
    span = f"{first.n:,} to {last.n:,} {words}: {first.cost:,} to {last.cost:,} {what}"

    def found(how: str, text: str) -> list[Finding]:
        name, files = _ONE_CAUSE.get((call.partition("-")[0], _ALIKE.get(family, family), how, kind), (call, family))
        return [Finding(COST.member(name), f"{files}/{how}", f"{call}, {text}", kind)]

    # Of the last two, so that one member out of line is not taken for growth.
    if (
        not _for_more(points)
        and not _noise(points, cost)
        and grew(points) >= GROWN
        and grew(points[:-1]) >= math.sqrt(GROWN)
    ):
        return found(UNRELATED, f"{span}, though what it has to look at stays at {last.for_bytes:,} bytes")
    power = exponent(points, cost)
    if power > EXPONENT:
        return found(SUPERLINEAR, f"{span}, which grows with the power of {power:.1f} of what it has to look at")
    if last.peak > min(first.peak, CONSTANT) + allowed(first, last):
        text = f"{last.n:,} {words}: {last.peak:,} bytes held at once for {last.text:,} bytes of JSON and {last.data:,} of data"
        return found(MULTIPLE, text)
    return []
