"""The reproducer of a growing cost: one Python file that contains its inputs and counts like the harness."""

from __future__ import annotations

import base64
import lzma
from collections.abc import Mapping
from typing import Any

from harness.findings.crashes import Crash
from harness.mutate.growth import FAMILIES, Grown
from harness.programs.templates import render
from harness.targets.resources.calls import CALLS, Call
from harness.targets.resources.oracle import CONSTANT, EXPONENT, GROWN, MULTIPLE, PER_DATA, PER_TEXT, STEP, UNRELATED

_SHOULD = {
    MULTIPLE: "what is held at once is in proportion to what the call has to look at",
    UNRELATED: "what the call does not have to look at costs it nothing",
}
_IN_PROPORTION = "the cost grows in proportion to what the call has to look at"


def reproducer(crash: Crash, cost: str, name: str, family: str, about: Mapping[str, object]) -> str:
    """The reproducer of ``crash``: the ``cost`` of the call ``name`` grows wrongly over a ``family``."""
    how = crash.signature.rpartition("/")[2]
    call, grows = CALLS[name], FAMILIES[family]
    # The first, the middle and the last member show the growth.
    values = {
        "cost": cost,
        "family": family,
        "grows": grows.words,
        "how": how,
        "setup": call.setup.splitlines(),
        "code": call.code,
        "should": repr(_SHOULD.get(how, _IN_PROPORTION)),
        "result": "result" in call.data,
        "per_text": PER_TEXT,
        "per_data": PER_DATA,
        "step": STEP,
        "constant": CONSTANT,
        "grown": GROWN,
        "exponent": EXPONENT,
        "files": [_file(n, grows.make(n), call) for n in grows.sizes[::2]],
    }
    return render(__package__, "measure.py.j2", **{**about, **values})


def _file(n: int, grown: Grown, call: Call) -> dict[str, Any]:
    text = grown.data.rstrip(b"\0")
    packed = base64.b85encode(lzma.compress(text, preset=6))
    lines = [packed[at : at + 100] for at in range(0, len(packed), 100)]
    literal = "(\n" + "".join(f"        {line!r}\n" for line in lines) + "    )"
    zeros = len(grown.data) - len(text)
    # The reproducer adds the bytes of a returned array.
    sizes = {"text": call.text, "data": call.data}
    wanted = {kind: sum(grown.parts.get(part, 0) for part in parts) for kind, parts in sizes.items()}
    return {"n": n, "name": repr(grown.name), "packed": literal, "zeros": zeros, **wanted}
