"""The reproducer of a growing cost: one Python file that contains its inputs and counts like the harness."""

from __future__ import annotations

import base64
import functools
import lzma
from importlib.resources import files
from typing import Any

import jinja2

from harness.findings.crashes import Crash
from harness.mutate.growth import FAMILIES, Grown
from harness.targets.resources.calls import CALLS, Call
from harness.targets.resources.oracle import CONSTANT, EXPONENT, GROWN, MULTIPLE, PER_DATA, PER_TEXT, STEP, UNRELATED
from harness.targets.resources.target import words

_SHOULD = {
    MULTIPLE: "what is held at once is in proportion to what the call has to look at",
    UNRELATED: "what the call does not have to look at costs it nothing",
}
_IN_PROPORTION = "the cost grows in proportion to what the call has to look at"


@functools.cache
def _template() -> jinja2.Template:
    text = (files("harness.targets.resources") / "measure.py.j2").read_text(encoding="utf-8")
    return jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(text)  # noqa: S701 - Python, no HTML


def values(crash: Crash, data: bytes) -> dict[str, Any]:
    """The variables of the template, without title, why and releases."""
    chosen = words(data)
    assert chosen is not None  # only programs are filed for this target
    cost, name, family = chosen
    how = crash.signature.rpartition("/")[2]
    call, grows = CALLS[name], FAMILIES[family]
    # The first, the middle and the last member show the growth.
    return {
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


def render(values: dict[str, Any]) -> str:
    """The text of the reproducer."""
    return _template().render(values)


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
