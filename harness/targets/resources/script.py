"""The reproducer of a growing cost, which counts like the harness, on the first, the middle and the last file of a family."""

from __future__ import annotations

import base64
import lzma

from harness.findings.crashes import Crash
from harness.mutate.growth import FAMILIES, Grown
from harness.programs import scripts
from harness.targets.resources.calls import CALLS, Call
from harness.targets.resources.oracle import (
    BYTES,
    CONSTANT,
    EXPONENT,
    GROWN,
    MULTIPLE,
    PER_DATA,
    PER_TEXT,
    STEP,
    UNRELATED,
)


def reproducer(crash: Crash, cost: str, name: str, family: str) -> str:
    """The code that shows: the ``cost`` of the call ``name`` grows wrongly over a ``family``."""
    how = crash.signature.rpartition("/")[2]
    call, grows = CALLS[name], FAMILIES[family]
    members = [grows.make(n) for n in grows.sizes[::2]]
    if how not in (MULTIPLE, UNRELATED):
        chosen = list(zip(("small", "middle", "large"), members, strict=True))
    else:
        chosen = [("small", members[0]), ("large", members[-1])]
    count = "allocated" if cost == BYTES else "instructions"
    lines = [f"# {grows.words}", f"SETUP, CALL = {call.setup!r}, {call.code!r}"]
    for word, one in chosen:
        asked = f", {one.name!r}" if len(one.name) < scripts.WIDTH else f", {one.name[:1]!r} * {len(one.name)}"
        lines.append(f"{word} = {count}(SETUP, CALL, {_file(one)}{asked if 'name' in call.code + call.setup else ''})")
    return "\n".join([*lines, _assertion(how, call, [one for _, one in chosen])])


def _assertion(how: str, call: Call, members: list[Grown]) -> str:
    if how == UNRELATED:
        return f"assert large[0] < {GROWN} * small[0]"
    text = [sum(one.parts.get(part, 0) for part in call.text) for one in members]
    data = [sum(one.parts.get(part, 0) for part in call.data) for one in members]
    result = "result" in call.data
    if how == MULTIPLE:
        given = " + large[2] - small[2]" if result else ""
        allowed = f"{PER_TEXT * (text[-1] - text[0]) + STEP} + {PER_DATA} * ({data[-1] - data[0]}{given})".replace(
            "(0 + ", "("
        )
        return f"assert large[1] <= min(small[1], {CONSTANT}) + {allowed}"
    words = ("small", "middle", "large")
    sizes = [f"{a + b}" + (f" + {word}[2]" if result else "") for word, a, b in zip(words, text, data, strict=True)]
    return (
        f"x = [{', '.join(sizes)}]\ny = [small[0], middle[0], large[0]]\n"
        "slope = math.log((y[2] - y[1]) / (y[1] - y[0])) / math.log((x[2] - x[1]) / (x[1] - x[0])) if y[2] > y[1] > y[0] else 0\n"
        f"assert slope <= {EXPONENT}"
    )


def _file(grown: Grown) -> str:
    """Source of a file; compressed where it is long."""
    text = grown.data.rstrip(b"\0")
    zeros = len(grown.data) - len(text)
    source = scripts.literal(text)
    if len(text) > scripts.LONGEST:
        source = (
            f"lzma.decompress(base64.b85decode({scripts.literal(base64.b85encode(lzma.compress(text, preset=6)))}))"
        )
    elif len(text) > scripts.WIDTH:
        source = repr(text)
    return source + (f" + bytes({zeros})" if zeros else "")
