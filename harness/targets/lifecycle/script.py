"""Programs of target ``lifecycle`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
import re

from harness.findings.crashes import Crash
from harness.programs import scripts
from harness.programs.arrays import NUMPY_NAMES
from harness.programs.scripts import Script
from harness.targets.lifecycle import kit
from harness.targets.lifecycle.expectation import ANY, REFUSED, TYPE, Call
from harness.targets.lifecycle.program import PATHS, Program

_PUT = [f"put(p{number}, FILES[{number}])" for number in range(PATHS - 1)]


def _text(call: Call) -> str:
    """A call as a line of Python."""
    return f"{call.bind} = {call.source}" if call.bind else call.source


def explain(program: Program) -> str:
    """A program in words: files, calls, and how each should end."""
    lines = list(_PUT)
    for call in program.calls:
        hazard = f"; may end with {call.hazard}" if call.hazard else ""
        lines.append(f"{_text(call):70}  # {_should(call)}{hazard}")
    return "\n".join(lines) + "\n"


def _should(call: Call) -> str:
    if call.end == REFUSED:
        return "SafetensorError"
    if call.end == ANY:
        return f"{call.wanted} or SafetensorError" if call.wanted else "anything, or SafetensorError"
    if call.end == TYPE:
        return "a value, TypeError or AttributeError"
    return (call.wanted or "any value") if call.end == "value" else call.end


def script(program: Program) -> Script:
    """The files, and the calls."""
    calls = []
    for call in program.calls:
        source, wanted = _straight(call.source), {"value": _straight(call.wanted)}.get(call.end, call.end)
        calls.append(scripts.Call(call.kind, source, wanted, call.bind))
    text = "\n".join(
        f"{call.line}\n{call.wanted if call.wanted.startswith(('arrays', 'sorted')) else ''}" for call in calls
    )
    return Script(_setup("\n".join([text, *(call.wanted for call in calls)])), tuple(calls))


_CODES = {name: code for code, name in NUMPY_NAMES.items()}
#: Odd paths as expressions, where one line makes them.
_ODD = {
    "nothing": 'stored(b"") + "-nothing"', "folder": "tempfile.mkdtemp()", "file": 'stored(b"")',
    "through": 'stored(b"") + "/x"', "long": '"x" * 300',
}  # fmt: skip
_SUBSTITUTES = (
    (r"safetensors\.safe_open\((.*?), backend='mmap'\)", r"safe_open(\1)"),
    (r"safetensors\.safe_open\(", "safe_open("),
    (r"(_safe_open_handle\(.*?), backend='mmap'\)", r"\1)"),
    (r"CONTENTS\[(\d)\]", r"arrays\1"),
    (r"FILES\[(\d)\]", r"FILE\1"),
    (r"drop\('(\w+)'\)", r"del \1"),
)


def _straight(source: str) -> str:
    for pattern, text in _SUBSTITUTES:
        source = re.sub(pattern, text, source)
    source = re.sub(r"ODD\['(\w+)'\]", lambda match: _ODD.get(match[1], match[0]), source)
    source = re.sub(r"METADATA\[(\d)\]", lambda match: repr(kit.METADATA[int(match[1])]), source)
    cut = re.fullmatch(r"cut\(p(\d), ([\d.]+)\)", source)
    return (
        f"os.truncate(p{cut[1]}, int(os.path.getsize(p{cut[1]}) * {cut[2]}))".replace(
            "int(os.path.getsize(p0) * 0)", "0"
        )
        if cut
        else source
    )


def _setup(text: str) -> str:
    """The values that a text names: files, arrays, paths; and the functions of the kit that it calls."""
    lines = ["ODD = odd(tempfile.mkdtemp())"] if "ODD[" in text else []
    numbers = {word: {int(digit) for digit in re.findall(rf"\b{word}(\d)\b", text)} for word in ("FILE", "arrays", "p")}
    lines += [f"arrays{number} = {_arrays(number)}" for number in sorted(numbers["arrays"])]
    lines += [
        f"FILE{number} = {scripts.raw_file(kit.FILES[number])}" for number in sorted(numbers["FILE"] - numbers["p"])
    ]
    for number in sorted(numbers["p"]):
        raw = "b''" if number >= PATHS - 1 else scripts.raw_file(kit.FILES[number])
        if number in numbers["FILE"]:
            lines.append(f"FILE{number} = {raw}")
            raw = f"FILE{number}"
        lines.append(f"p{number} = stored({raw})" + (f"\nos.unlink(p{number})" if number >= PATHS - 1 else ""))
    if "_safe_open_handle" in text:
        lines.insert(0, "from safetensors._safetensors_rust import _safe_open_handle\n")
    helpers = scripts.needed(inspect.getsource(kit).replace("same(", "_same("), text)
    return (f"{helpers}\n\n\n" if helpers else "") + "\n".join(lines)


def _arrays(number: int) -> str:
    rows = [
        f"    {name!r}: {scripts.array(_CODES[one.dtype.name], one.shape, one.tobytes())},\n"
        for name, one in kit.CONTENTS[number].items()
    ]
    return scripts.braced(rows)


def reproducer(crash: Crash, program: Program) -> str:
    """The code for a call that ends as it should not: the last one that is promised an end."""
    made = script(program)
    if crash.rule.check == "death":
        word = crash.aspect.partition("/")[0]
        body = scripts.block("def run():", *(call.line for call in made.calls))
        return f"{made.setup}\n\n\n{body}\n\n\nassert ended(run) != {word!r}"
    if crash.rule.check != "ends":
        return ""
    met = crash.aspect.rpartition(":")[2]
    open_ends = (ANY, TYPE) if met[:1].isupper() else (ANY, TYPE, "")
    at = next((n for n in range(len(made.calls) - 1, -1, -1) if made.calls[n].wanted not in open_ends), None)
    if at is None:
        return ""
    last = made.calls[at]
    head = "\n".join([made.setup, *(call.line for call in made.calls[:at])])
    if met == "SafetensorError":
        return f"{head}\n{scripts.block('with accepted():', last.line)}"
    if met[:1].isupper():
        right = f", right={last.wanted!r}" if last.wanted[:1].isupper() else ""
        return f"{head}\n{scripts.block(f'with raises({met!r}{right}):', last.line)}"
    if last.wanted == REFUSED:
        return f"{head}\n{scripts.block('with refused():', last.line)}"
    if last.wanted[:1].isupper():
        return f"{head}\n{scripts.block(f'with refused({last.wanted!r}):', last.line)}"
    return f"{head}\nassert same({last.source}, {last.wanted})"
