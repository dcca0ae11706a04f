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
from harness.targets.base import Target
from harness.targets.huge.layout import Layout, build
from harness.targets.huge.program import decode, halved
from harness.targets.loaders import loader as loaders
from harness.targets.registry import get_target
from harness.targets.resources import script as measured

# By check of a rule: the check of a template, and the outcome that is wrong.
_CHECKS = {
    "accepted": ("outcome", ACCEPT), "refused": ("outcome", REJECT), "panic": ("outcome", PANIC), "raise": ("outcome", RAISE),
    "death": ("deadly", ""), "misread": ("misread", ""), "relation": ("relation", ""), "reserialized": ("written", ""),
    "leak": ("leak", ""), "time": ("time", ""), "memory": ("growth", ""), "agreement": ("agreement", ""),
    "saved": ("saved", ""), "values": ("compare", ""), "ends": ("ends", ""), "refused-call": ("refused", REJECT),
    "taken": ("taken", ""),
}  # fmt: skip
# Checks that each template has.
_OF_PROGRAMS = ("outcome", "deadly", "compare", "ends", "refused", "taken")
_OF_FILES = ("outcome", "deadly", "misread", "relation", "written", "leak", "time", "growth", "agreement", "saved")
# Targets of files that the template can read as.
_READ_AS = ("deserialize", "safe_open", "huge", "model")
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
    common: dict[str, Any] = {
        "title": _plain(f"{crash.id}: {crash.summary}"),
        "why": _plain(crash.why),
        "releases": ", ".join(crash.releases) or "0.8.0",
    }
    target = get_target(crash.target)
    if crash.rule.check == "cost":
        return measured.render(common | measured.values(crash, data))
    check, wrong = _CHECKS.get(crash.rule.check, ("", ""))
    wrong = wrong or (crash.kind if check in ("deadly", "time", "growth") else "")
    common |= {
        "check": check,
        "wrong": wrong,
        "should": repr(crash.rule.should),
        "memory_mb": target.memory_mb,
        "needs": " ".join(dict.fromkeys(("numpy", *(target.packages or target.needs)))),
    }
    calls = target.script(data)
    if calls and check in _OF_PROGRAMS:
        # The aspect of an error is "CALL: TYPE: MESSAGE".
        error = repr(crash.aspect.split(": ")[1]) if wrong == RAISE else ""
        return _template("reproduce_program.py.j2").render(common | {"error": error, "calls": calls})
    if check not in _OF_FILES or not (crash.target in _READ_AS or isinstance(target, loaders.Loader)):
        return _template("reproduce_signature.py.j2").render(
            common
            | {
                "signature": repr(crash.signature),
                "target": repr(crash.target),
                "input": INPUT,
                # The build that showed it: another one may not.
                "flavour": repr((*crash.builds, *target.flavours)[0]),
            }
        )
    values: dict[str, Any] = {
        **common,
        "own": not target.uses_parser,
        "target": crash.target,
        "input": INPUT,
        "huge": _huge(crash, data) if crash.target == "huge" else None,
        "error": repr(_error(crash, error)) if wrong == RAISE and error else "",
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
        relation = crash.rule.name.removeprefix("metamorphic.")
        values |= {"relation": relation, "variant": _literal(variant), "adds": relation.startswith(_ADDS)}
    return _template("reproduce.py.j2").render(values)


def needs_harness(script: str) -> bool:
    """Whether a reproducer runs the harness' own oracles."""
    return "from harness" in script


def _error(crash: Crash, error: str) -> str:
    """The type of the exception: of several entry points, of the one that the finding is about."""
    words = crash.aspect.split(": ")
    several = isinstance(get_target(crash.target), loaders.Loader) and crash.oracle == "contract"
    return words[1] if several else error.partition(":")[0]


def _pair(crash: Crash) -> list[str]:
    """The two entry points that differ."""
    return crash.rule.name.removeprefix("agreement.").split("-")


def _holds(target: Target, first: str) -> Iterable[str]:
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
    phase = crash.rule.name.partition(".")[2] if crash.kind in ("time", "memory") else ""
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
