"""Which regions inputs reach, for programs: the bench asks when a campaign had reached all there is.

What `deserialize` can reach of tensor.rs is not written down anywhere, so it is taken from evidence: the functions that
the committed corpus enters, and the regions in them that it has ever reached.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.coverage.counts import Region
from harness.coverage.llvm import rust_coverage
from harness.coverage.profiles import profiles
from harness.errors import HarnessError
from harness.parsers.registry import Parser

TENSOR_RS = "tensor.rs"


@dataclass(frozen=True, slots=True)
class Reach:
    """Regions of one file: those that ran, and all regions of the functions that were entered."""

    reached: frozenset[Region]
    entered: frozenset[Region]


def measure(parser: Parser, target: str, inputs: Sequence[bytes], file: str = TENSOR_RS) -> Reach:
    """What ``inputs`` together reach in the parser's Rust file whose path ends with ``file``.

    ``parser`` is a coverage build. Inputs that end their process are left out. Raises HarnessError when nothing could be
    replayed, or the build has no such file.
    """
    if not inputs:
        return Reach(frozenset(), frozenset())
    with tempfile.TemporaryDirectory(prefix="harness-measure-") as name:
        scratch = Path(name)
        found_in = profiles(parser, target, inputs, scratch)
        if not found_in:
            raise HarnessError(f"no input of {target} could be replayed", hint="harness doctor checks the set-up")
        found = rust_coverage(parser, found_in, scratch, only=file)
    if not found:
        raise HarnessError(f"parser {parser.name} has no file {file}", hint="harness coverage lists its files")
    reached = frozenset(region for region, count in found[0].regions.items() if count)
    return Reach(reached, frozenset(found[0].entered()))
