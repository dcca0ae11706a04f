"""The reproducer of a filed finding: one Python file that needs nothing but ``pip install safetensors numpy``.

It reads the input beside it, says what happens and what should, and ends with 1 when the defect shows, else with 0.
"""

from __future__ import annotations

import hashlib
import pprint
import textwrap
from typing import Any

from harness.findings.crashes import INPUT, Crash
from harness.format.judge import judge
from harness.observation import ACCEPT, PANIC, RAISE, REJECT
from harness.programs.arrays import WRITER_DTYPES
from harness.programs.templates import bytes_literal, render, wrapped
from harness.targets.base import Reader, Target
from harness.targets.registry import get_target

# By check of a rule: the check of a template, and the outcome that is wrong.
_CHECKS = {
    "accepted": ("outcome", ACCEPT), "refused": ("outcome", REJECT), "panic": ("outcome", PANIC), "raise": ("outcome", RAISE),
    "death": ("deadly", ""), "misread": ("misread", ""), "relation": ("relation", ""), "reserialized": ("written", ""),
    "leak": ("leak", ""), "time": ("time", ""), "memory": ("growth", ""), "agreement": ("agreement", ""),
    "saved": ("saved", ""), "values": ("compare", ""), "ends": ("ends", ""), "refused-call": ("refused", REJECT),
    "taken": ("taken", ""),
}  # fmt: skip
# Checks of the template of programs, and of that of files.
_OF_PROGRAMS = ("outcome", "deadly", "compare", "ends", "refused", "taken")
_OF_FILES = ("outcome", "deadly", "misread", "relation", "written", "leak")
# Checks of files with several entry points.
_OF_CALLS = ("agreement", "saved")
# Modules that every reproducer of a file imports.
_IMPORTS = ("hashlib", "importlib.util", "os", "pathlib", "subprocess", "sys")
# Relations after which the other file holds something more, or elsewhere.
_ADDS = ("one-more", "dimension")


def write(crash: Crash, data: bytes, error: str = "", variant: bytes = b"") -> str:
    """The reproducer of ``crash``.

    ``error`` is what the parser said of ``data``; ``variant`` the other spelling that a metamorphic finding is about.
    """
    target = get_target(crash.target)
    about = _about(crash, target)
    if whole := target.reproducer(crash, data, about):
        return whole
    check, wrong = _CHECKS.get(crash.rule.check, ("", ""))
    about |= {"check": check, "wrong": wrong or (crash.kind if check == "deadly" else "")}
    if check in _OF_PROGRAMS and (calls := target.script(data)):
        return _of_program(crash, calls, about)
    reader = target.reader(crash, data)
    if reader is not None and _has(reader, check):
        return _of_file(crash, data, target, reader, about | _values(crash, data, check, reader, variant), error)
    return ask_harness(crash)


def ask_harness(crash: Crash) -> str:
    """A reproducer that runs the oracles of the harness: it suits every rule, and needs a build of the parser."""
    target = get_target(crash.target)
    return _render(
        "reproduce_signature.py.j2",
        _about(crash, target)
        | {
            "signature": repr(crash.signature),
            "target": repr(crash.target),
            "input": INPUT,
            # The build that showed it: another one may not.
            "flavour": repr((*crash.builds, *target.flavours)[0]),
        },
    )


def needs_harness(script: str) -> bool:
    """Whether a reproducer runs the harness' own oracles."""
    return "from harness" in script


def _about(crash: Crash, target: Target) -> dict[str, Any]:
    """The values of every template."""
    return {
        "title": _plain(f"{crash.id}: {crash.summary}"),
        "why": _plain(crash.why),
        "releases": ", ".join(crash.releases) or "0.8.0",
        "should": repr(crash.rule.should),
        "memory_mb": target.memory_mb,
        "modules": repr(("safetensors", "numpy", *target.needs) if target.uses_parser else ("harness",)),
        "needs": " ".join(dict.fromkeys(("numpy", *(target.packages or target.needs)))),
    }


def _render(name: str, values: dict[str, Any]) -> str:
    return render("harness.triage", name, **values)


def _has(reader: Reader, check: str) -> bool:
    """Whether the template of files has the check for that reader."""
    return check in (*_OF_FILES, *reader.mains) or (reader.calls and check in _OF_CALLS)


def _of_program(crash: Crash, calls: str, about: dict[str, Any]) -> str:
    # The aspect of an error is "CALL: TYPE: MESSAGE".
    error = repr(crash.aspect.split(": ")[1]) if about["wrong"] == RAISE else ""
    return _render("reproduce_program.py.j2", about | {"error": error, "calls": calls})


def _of_file(crash: Crash, data: bytes, target: Target, reader: Reader, values: dict[str, Any], error: str) -> str:
    kind = reader.error or error.partition(":")[0]
    return _render(
        "reproduce.py.j2",
        values
        | {
            "own": not target.uses_parser,
            "input": INPUT,
            "reader": reader,
            "imports": sorted({*_IMPORTS, *reader.imports}),
            "error": repr(kind) if values["wrong"] == RAISE and error else "",
        },
    )


def _values(crash: Crash, data: bytes, check: str, reader: Reader, variant: bytes) -> dict[str, Any]:
    """The variables of one check of files."""
    if check == "leak":
        return {"counted": crash.aspect}
    if check == "agreement":
        pair = crash.rule.name.removeprefix("agreement.").split("-")
        return {"pair": pair, "holds": wrapped(sorted(reader.holds))}
    if check == "saved":
        return {"call": crash.aspect.partition(":")[0]}
    if check == "misread":
        return _expected(data)
    if check == "written":
        header = judge(data).header
        dtypes = pprint.pformat(WRITER_DTYPES, width=110)
        return {"metadata": repr(header.metadata if header else None), "dtypes": dtypes}
    if check == "relation":
        relation = crash.rule.name.removeprefix("metamorphic.")
        return {"relation": relation, "variant": bytes_literal(variant), "adds": relation.startswith(_ADDS)}
    return {}


def _plain(text: str) -> str:
    """Text that can stand in a docstring."""
    clean = text.encode("ascii", "backslashreplace").decode().replace("\\", "\\\\").replace('"', "'")
    return "\n".join(line for paragraph in clean.splitlines() for line in textwrap.wrap(paragraph, 110) or [""])


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
