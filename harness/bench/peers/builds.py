"""The builds that the peers fuzz: that of the range, with two counters more, instrumented and as users install it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.bench.range import bugs
from harness.bench.range.bugs import Planted
from harness.bench.runner import Say
from harness.findings.defects import Edit
from harness.parsers import build
from harness.parsers.registry import Parser

#: The name of the instrumented build. The plain one has "-wheel" after it.
BUILD = "peers"
#: Counters beside those of the bugs: headers that the parser began to read, and those that got past JSON and fields.
CALLS, DEEP = 62, 63

_FILE = "safetensors/src/tensor.rs"
_COUNTERS = (
    Edit(
        _FILE,
        "let Some(header_size_bytes) = buffer.get(..N_LEN) else {",
        f"let _ = crate::range::on({CALLS}, false);\n        let Some(header_size_bytes) = buffer.get(..N_LEN) else {{",
    ),
    Edit(
        _FILE,
        "let metadata: Metadata = metadata.try_into()?;",
        f"let _ = crate::range::on({DEEP}, false);\n        let metadata: Metadata = metadata.try_into()?;",
    ),
)


@dataclass(frozen=True, slots=True)
class Builds:
    """The same source twice: with sancov counters, for fuzzers that read them, and as a plain wheel."""

    sancov: Parser
    wheel: Parser


def planted() -> Planted:
    """The edits of the range, and the two counters."""
    return Planted(BUILD, (*bugs.planted().edits, *_COUNTERS))


def builds(say: Say) -> Builds:
    """Both builds; made where they are missing."""
    change = planted()
    return Builds(
        build.build(mend=[change], name=BUILD, progress=say),
        build.build(mend=[change], name=f"{BUILD}-wheel", flavour="wheel", progress=say, crate_api=False),
    )
