"""The reproducer of a filed finding: one Python file that needs nothing but ``pip install safetensors numpy``.

It reads the input beside it, says what happens and what should, and ends with 1 when the defect shows, else with 0.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import lzma
import pprint
import textwrap
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import jinja2

from harness.findings.crashes import INPUT, Crash
from harness.format.dtypes import DTYPE_BITS
from harness.format.judge import judge
from harness.observation import ACCEPT, PANIC, RAISE, REJECT
from harness.programs.arrays import WRITER_DTYPES
from harness.targets import base
from harness.targets.files.on_disk import target_named
from harness.targets.huge.layout import Layout, build
from harness.targets.huge.program import decode, halved
from harness.targets.loaders import loader as loaders
from harness.targets.resources import script as measured
from harness.targets.resources.target import TARGET

_SHOULD = {
    "refused": "the file is read: the format allows it",
    "misread": "what is read is what the file says",
    "panic": "the file is read, or refused with SafetensorError",
    "raise": "the file is read, or refused with SafetensorError",
    "crash": "the file is read or refused, and the process lives on",
    "hang": "the file is read or refused at once",
    "memory": "the file is read or refused within memory in proportion to its size",
    "time": "twice the header takes about twice the time",
}
# Of programs, by oracle.
_PROGRAM_SHOULD = {
    "roundtrip": "what is saved is what comes back, in equal bytes each time; or it is refused with a documented error",
    "torch_roundtrip": "what is saved is what comes back, as the documentation says, or it is refused with a documented error",
    "numpy": "each call gives what numpy gives of the whole array, or is refused with SafetensorError",
    "parallel": "each rank gets its part of the tensor, and the parts put together are the whole",
    "quantized": "the bytes that went in come out, and what disagrees with its own bytes is refused",
    "shards": "each tensor comes from the file that the index names, and a folder that is out of order is refused",
    "device": "what names no device is refused with SafetensorError, and what the documentation names is taken",
    "contract": "each call gives something, or is refused with SafetensorError",
    "lifecycle": "each call ends as said below it",
}
# Of programs: where it matters how a call ends, and not only what it gives.
_COMPARED = {"lifecycle": "ends"}
# Relations after which the other file holds something more, or elsewhere.
_ADDS = ("one-more", "dimension")


@functools.cache
def _template(name: str) -> jinja2.Template:
    text = (files("harness.triage") / name).read_text(encoding="utf-8")
    return jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(text)  # noqa: S701 - Python, no HTML


def write(crash: Crash, data: bytes, error: str = "", variant: bytes = b"") -> str:
    """The reproducer of ``crash``.

    ``error`` is what the parser said of ``data``; ``variant`` the other spelling that a metamorphic finding is about.
    """
    common = {
        "title": _plain(f"{crash.id}: {crash.summary}"),
        "why": _plain(crash.why),
        "releases": ", ".join(crash.releases) or "0.8.0",
    }
    if crash.target == TARGET:
        return measured.render(common | measured.values(crash, data))
    check, wrong = _check(crash)
    target = target_named(crash.target)
    calls = base.script(target, data)
    if calls:
        return _template("reproduce_program.py.j2").render(
            common
            | {
                "needs": " ".join(dict.fromkeys(("numpy", *base.packages(target)))),
                "should": repr(_PROGRAM_SHOULD.get(crash.oracle, _SHOULD.get(crash.kind, _SHOULD["raise"]))),
                "check": _check_of_calls(crash, check, wrong),
                "wrong": wrong,
                # The aspect of an error is "CALL: TYPE: MESSAGE".
                "error": repr(crash.aspect.split(": ")[1]) if wrong == RAISE else "",
                "calls": calls,
                "memory_mb": target.memory_mb,
            }
        )
    values: dict[str, Any] = {
        **common,
        "own": not target.uses_parser,
        "target": crash.target,
        "input": INPUT,
        "huge": _huge(crash, data) if crash.target == "huge" else None,
        "should": repr(_should(crash, check, wrong)),
        "check": check,
        "wrong": wrong,
        "error": repr(_error(crash, error)) if wrong == RAISE and error else "",
        "memory_mb": target.memory_mb,
        "needs": " ".join(dict.fromkeys(("numpy", *base.packages(target)))),
        "loader": _loader(crash, check, target) if isinstance(target, loaders.Loader) else "",
    }
    if check == "leak":
        values["counted"] = crash.aspect
    if check == "agreement":
        values["pair"] = _pair(crash)
        values["holds"] = _wrapped(sorted(_holds(target, values["pair"][0])))
    if check == "saved":
        values["call"] = crash.aspect.partition(":")[0]
    if check == "misread":
        values |= _expected(data)
    if check == "written":
        header = judge(data).header
        values |= {
            "metadata": repr(header.metadata if header else None),
            "dtypes": pprint.pformat(WRITER_DTYPES, width=110),
        }
    if check == "relation":
        relation = crash.rule.removeprefix("metamorphic.")
        values |= {"relation": relation, "variant": _literal(variant), "adds": relation.startswith(_ADDS)}
    return _template("reproduce.py.j2").render(values)


def _check_of_calls(crash: Crash, check: str, wrong: str) -> str:
    """Which check of the template for programs tells the defect."""
    if check == "deadly" or wrong in (PANIC, RAISE):
        return check
    if crash.oracle in _COMPARED:
        return _COMPARED[crash.oracle]
    if crash.rule == "device.accepted":
        return "taken"
    if wrong == REJECT:
        return "refused" if crash.rule == "refused" else check
    return "compare"


def _check(crash: Crash) -> tuple[str, str]:
    """Which check of the template tells the defect, and the outcome that is wrong."""
    if crash.oracle == "isolation":
        return "deadly", crash.kind
    if crash.rule == "metamorphic.serialized-again":
        return "written", ""
    if crash.oracle in ("agreement", "resaved"):
        return ("agreement" if crash.oracle == "agreement" else "saved"), ""
    if crash.rule.startswith("metamorphic."):
        return "relation", ""
    if crash.rule.startswith("leaks."):
        return "leak", ""
    if crash.rule == "misread":
        return "misread", ""
    if crash.kind in ("time", "memory"):
        return ("time" if crash.kind == "time" else "growth"), crash.kind
    if crash.kind == "panic":
        return "outcome", PANIC
    if crash.kind == "contract":
        return "outcome", RAISE
    return "outcome", REJECT if crash.rule.rpartition(".")[2] == "refused" else ACCEPT


def _should(crash: Crash, check: str, wrong: str) -> str:
    if crash.rule.startswith("metamorphic."):
        return "what was written reads as what was given" if check == "written" else "both read the same"
    if check == "agreement":
        return "both give the same, or the same refusal"
    if check == "saved":
        return "what is saved reads as what was given, and the dictionary stays as it was"
    if check == "leak":
        return "what was opened and allocated is given back"
    if wrong == ACCEPT:
        return f"the file is refused: {crash.sentence}" if crash.sentence else "the file is refused"
    return _SHOULD.get(crash.rule, _SHOULD.get(wrong, _SHOULD["misread"]))


def _error(crash: Crash, error: str) -> str:
    """The type of the exception: of several entry points, of the one that the finding is about."""
    words = crash.aspect.split(": ")
    several = isinstance(target_named(crash.target), loaders.Loader) and crash.oracle == "contract"
    return words[1] if several else error.partition(":")[0]


def _pair(crash: Crash) -> list[str]:
    """The two entry points that differ."""
    return crash.rule.removeprefix("agreement.").split("-")


def _holds(target: base.Target, first: str) -> Iterable[str]:
    """The dtypes that the second way must not refuse where the first reads them: all of them within one framework."""
    return target.holds_here() if first == "deserialize" and isinstance(target, loaders.Loader) else DTYPE_BITS


def _loader(crash: Crash, check: str, target: loaders.Loader) -> str:
    """How each entry point of a framework reads."""
    # The aspect of an error is "CALL: TYPE: MESSAGE".
    call = crash.aspect.partition(": ")[0] if crash.kind in ("contract", "panic") and crash.oracle == "contract" else ""
    return _template("reproduce_loader.py.j2").render(
        imports=target.imports,
        last=target.imports[0].rpartition(".")[2],
        words=_wrapped(loaders.DTYPE_OF_WORD),
        calls=_wrapped(target.calls),
        kind=target.kind,
        raw=target.raw,
        module=target.module,
        framework=target.framework,
        call=call or loaders.MAIN,
        strict=check == "outcome",
    )


def _wrapped(value: object) -> str:
    return pprint.pformat(value, width=110, compact=True, sort_dicts=False)


def _plain(text: str) -> str:
    """Text that can stand in a docstring."""
    clean = text.encode("ascii", "backslashreplace").decode().replace("\\", "\\\\").replace('"', "'")
    return "\n".join(line for paragraph in clean.splitlines() for line in textwrap.wrap(paragraph, 110) or [""])


def _literal(data: bytes) -> str:
    lines = [data[at : at + 48] for at in range(0, len(data), 48)] or [b""]
    return "(\n" + "".join(f"    {line!r}\n" for line in lines) + ")"


def _expected(data: bytes) -> dict[str, str]:
    header = judge(data).header
    assert header is not None  # only files that the judge accepts are misread
    tensors = {
        tensor.name: (
            tensor.dtype,
            list(tensor.shape),
            tensor.begin,
            tensor.end,
            hashlib.sha256(header.payload(data, tensor)).hexdigest(),
        )
        for tensor in header.tensors
    }
    return {"tensors": pprint.pformat(tensors, width=110, sort_dicts=False), "metadata": repr(header.metadata)}


def _huge(crash: Crash, program: bytes) -> dict[str, Any]:
    """The file that a program of target ``huge`` stands for, in a form that needs no program."""
    steps = decode(program)
    layout = build(steps)
    headers = {"HEADER": _packed(layout)}
    if crash.kind == "time":
        headers["HALF"] = _packed(build(halved(steps)))
    phase = crash.rule.partition(".")[2] if crash.kind in ("time", "memory") else ""
    phase = phase or (
        "deserialize" if "deserialize" in crash.aspect or crash.summary.startswith("deserialize") else "open"
    )
    return {
        "prefix": layout.prefix,
        "size": layout.size,
        "buffer": layout.size - 8 - layout.header_size,
        "headers": headers,
        "phase": phase,
    }


def _packed(layout: Layout) -> str:
    packed = base64.b85encode(lzma.compress(b"".join(layout.pieces), preset=6))
    return _literal(packed)
