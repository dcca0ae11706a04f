"""The reproducer of a filed finding: the values, the call, and one assertion of its signature.

It ends with 1 when the defect shows, with 0 when it does not, and with 2 when it cannot tell (the helpers in ``crashes/``).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.findings.crashes import INPUT, Crash
from harness.findings.rule import SIGNATURE
from harness.format.judge import judge
from harness.programs import scripts
from harness.programs.scripts import DESCRIBED, Call, Script, block
from harness.targets.base import Target
from harness.targets.registry import get_target

#: A line of a script that a person wrote: ``harness triage rewrite`` leaves such a script as it is.
BY_HAND = "# By hand."
# "CALL: TYPE: MESSAGE", where a target of one call names none.
_ERROR = re.compile(r"(?:(?P<call>[a-z][\w.]*): )?(?P<kind>[A-Z]\w*): ?(?P<words>.*)", re.DOTALL)
# Relations after which the other file holds something more, or elsewhere.
_ADDS = ("one-more", "dimension")
# Past this length a message is cut at a word.
_WORDS = 90


def write(crash: Crash, data: bytes, variant: bytes = b"") -> str:
    """The reproducer of ``crash``; ``variant`` is the other spelling that a metamorphic finding is about."""
    target = get_target(crash.target)
    code = target.reproducer(crash, data) or _code(crash, target, data, variant)
    if not code:
        return ask_harness(crash)
    if crash.releases and min(map(_number, crash.releases)) < (0, 8):
        code = scripts.for_old(code)
    return scripts.whole(_title(crash), code)


def ask_harness(crash: Crash) -> str:
    """A reproducer that runs the oracles of the harness: it suits every rule, and needs a build of the parser."""
    # The build that showed it: another one may not.
    flavour = (*crash.builds, *get_target(crash.target).flavours)[0]
    find = f"registry.find(None, {flavour!r})" if get_target(crash.target).uses_parser else "None"
    code = f"""\
data = pathlib.Path(__file__).with_name({INPUT!r}).read_bytes()
result = replay.once({find}, {crash.target!r}, data)
print("what happens:", result.outcome, *[judged.summary for judged in result.findings])
print("what should: ", {crash.rule.should!r})
assert {crash.signature!r} not in result.signatures
"""
    registry = "from harness.parsers import registry\n" if "registry" in find else ""
    return scripts.whole(_title(crash), f"{registry}from harness.replay import replay\n\n{code}")


def needs_harness(script: str) -> bool:
    """Whether a reproducer runs the harness' own oracles."""
    return "from harness.replay" in script


def _title(crash: Crash) -> str:
    """The first line of a script."""
    summary = crash.summary.splitlines()[0] if crash.summary else ""
    clean = (
        f"{crash.id}: {summary}".encode("ascii", "backslashreplace").decode().replace("\\", "\\\\").replace('"', "'")
    )
    return clean if len(clean) <= scripts.WIDTH else clean[: scripts.WIDTH - 3].rpartition(" ")[0] + " ..."


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def _code(crash: Crash, target: Target, data: bytes, variant: bytes) -> str:
    """Setup, calls and assertion; "" where there is no check in plain Python."""
    script = target.script(data)
    maker = _MAKERS.get(crash.rule.check)
    if script is None or maker is None or crash.rule.check == SIGNATURE or not script.calls:
        return ""
    body = maker(crash, script, data, variant)
    setup = script.setup
    if body and len(re.findall(r"\bpath\b", setup + body)) == 1:
        setup = setup.replace("\npath = stored(FILE)", "")
    return body and f"{setup}\n{body}"


def _until(script: Script, last: Call) -> list[str]:
    """The calls before the one that goes wrong, as statements. Readers of a file do not need each other."""
    return [] if script.parts else [call.line for call in script.calls[: script.calls.index(last)]]


def _outcome(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    """An exception that no documentation names."""
    match = _ERROR.fullmatch(crash.aspect)
    if match is None:
        return ""
    last = script.named(match["call"] or "") or script.calls[-1]
    words = match["words"]
    if len(words) > _WORDS:
        words = words[:_WORDS].rpartition(" ")[0]
    given = f"{match['kind']!r}, {words!r}" if words not in ("", "_") else repr(match["kind"])
    before = _until(script, last)
    if script.parts and last.name.startswith("save") and (load := script.named("load")):
        before = [f"tensors = {load.source}", f"metadata = {script.opened}.metadata()"]
    return "\n".join([*before, block(f"with raises({given}):", last.line)])


def _accepted(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    return block("with refused():", script.opened or script.calls[-1].line)


def _refused(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    """A refusal; the aspect has its words where the oracle looks at one call alone."""
    words = crash.aspect if crash.oracle == "differential" else ""
    given = repr(words[:_WORDS].rpartition(" ")[0] if len(words) > _WORDS else words) if words else ""
    promised = [call for call in script.calls if script.parts or call.wanted not in ("", scripts.REFUSED)]
    if not promised:
        return ""
    last = promised[-1]
    return "\n".join([*_until(script, last), block(f"with accepted({given}):", script.opened or last.line)])


def _values(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    """Another value than the right one, or one where none is right."""
    name = crash.rule.name.partition(".")[2]
    calls = [call for call in script.calls if call.wanted]
    last = next((call for call in reversed(calls) if call.name == name), calls[-1] if calls else None)
    if last is None:
        return ""
    before = _until(script, last)
    if last.wanted == scripts.REFUSED:
        kinds = '"IndexError", "TypeError", "ValueError"'
        return "\n".join([*before, block(f"with refused({kinds}):", last.line)])
    return "\n".join([*before, f"assert same({last.source}, {last.wanted})"])


def _death(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    """The end of the process; the aspect begins with how it ends."""
    how, _, name = crash.aspect.partition("/")
    how = {"crash": how, "memory": "memory"}.get(crash.kind, "hang")
    memory = f", memory_mb={get_target(crash.target).memory_mb}" if how == "memory" else ""
    if script.parts:
        calls = [script.named(name) or script.calls[0]]
    else:
        calls = list(script.calls)
    if len(calls) == 1:
        return f"assert ended(lambda: {calls[0].source}{memory}) != {how!r}"
    run = block("def run():", *(call.line for call in calls))
    return f"\n\n{run}\n\n\nassert ended(run{memory}) != {how!r}"


# Files that several entry points read, or that are read twice.


def _tensors(call: Call) -> str:
    return call.tensors or call.source


def _part(script: Script, call: Call, aspect: str) -> str:
    """An expression for one part of every tensor that a call gives."""
    parts = DESCRIBED if call.name == "deserialize" else script.parts
    return f"{{name: {parts[aspect]} for name, t in {_tensors(call)}.items()}}"


def _equal(script: Script, one: Call, other: Call, aspect: str) -> str:
    """The assertion that two calls give the same part of every tensor."""
    return f"one = {_part(script, one, aspect)}\nother = {_part(script, other, aspect)}\nassert one == other"


def _misread(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    header = judge(data).header
    aspect = crash.aspect
    if header is None:
        return ""
    call = script.named("mmap.get_tensor") or script.calls[-1]
    tensors = {tensor.name: tensor for tensor in header.tensors}
    if aspect in ("dtype", "shape", "bytes"):
        wanted = {
            name: {"dtype": one.dtype, "shape": list(one.shape), "bytes": bytes(header.payload(data, one))}[aspect]
            for name, one in tensors.items()
        }
        return f"read = {_part(script, call, aspect)}\nassert read == {scripts.literal(wanted)}"
    if aspect == "names":
        return f"assert sorted({_tensors(call)}) == {scripts.literal(sorted(tensors))}"
    if aspect == "metadata" and script.opened:
        return f"assert {script.opened}.metadata() == {header.metadata!r}"
    if script.opened:
        order = [one.name for one in sorted(header.tensors, key=lambda one: (one.begin, one.end))]
        return f"assert {script.opened}.offset_keys() == {scripts.literal(order)}"
    return ""


def _agreement(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    first, second = (script.named(name) for name in crash.rule.name.removeprefix("agreement.").split("-", 1))
    if first is None or second is None:
        return ""
    if crash.aspect in ("dtype", "shape", "bytes"):
        return _equal(script, first, second, crash.aspect)
    if crash.aspect == "names":
        return f"assert sorted({_tensors(first)}) == sorted({_tensors(second)})"
    how = crash.aspect.partition("/")[2]
    if how in ("reject", "raise"):
        opening = "with accepted():" if how == "reject" else "with raises():"
        return f"{first.source}  # accepted\n{block(opening, second.source)}"
    if how != "refused":
        return ""
    return f"one = outcome(lambda: {first.source})\nother = outcome(lambda: {second.source})\nassert one == other"


def _saved(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    name, _, what = crash.aspect.partition(": ")
    load, save = script.named("load"), script.named(name)
    if load is None or save is None:
        return ""
    call = save.source.replace("path", "other").replace("metadata)", f"{script.opened}.metadata())")
    head = [f"tensors = {load.source}"]
    if name == "save_file":
        head.append('other = stored(b"")')
    rule = crash.rule.name.partition(".")[2]
    if rule == "argument":
        return "\n".join(
            [*head, "given = dict(tensors)", call, "assert all(tensors[name] is one for name, one in given.items())"]
        )
    if rule == "refused":
        return "\n".join([*head, block("with accepted():", call)])
    head += [f"written = {call}"] if name == "save" else [call, "written = pathlib.Path(other).read_bytes()"]
    if rule == "forbidden":
        return "\n".join([*head, "assert not isinstance(content(written), str), content(written)"])
    again = load.source.replace("FILE", "written")
    if rule == "unreadable":
        match = _ERROR.fullmatch(what)
        kind = match["kind"] if match else "SafetensorError"
        return "\n".join([*head, block(f"with raises({kind!r}):", again)])
    if what not in ("dtype", "shape", "bytes"):
        return ""
    if rule == "again":
        return "\n".join([*head, _equal(script, Call("", again), Call("", "tensors"), what)])
    place = ("dtype", "shape", "bytes").index(what)
    held = f"{{name: one[{place}] for name, one in content(written)[0].items()}}"
    return "\n".join([*head, f"assert {held} == {_part(script, Call('', 'tensors'), what)}"])


def _relation(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    if not variant:
        return ""
    return _two(crash, script, f"OTHER = {scripts.raw_file(variant)}")


def _reserialized(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    header = judge(data).header
    return _two(
        crash, script, f"OTHER = rewritten(safetensors.deserialize(FILE), {header.metadata if header else None!r})"
    )


def _two(crash: Crash, script: Script, other: str) -> str:
    """A file and another with the same content: how the second is read."""
    call = script.named("mmap.get_tensor") or script.calls[-1]
    plain = script.opened or call.source
    second = plain.replace("FILE", "OTHER").replace("path", "stored(OTHER)")
    end, _, words = crash.aspect.partition(":")
    if end == "refused":
        words = words[:_WORDS].rpartition(" ")[0] if len(words) > _WORDS else words
        return "\n".join([other, f"{plain}  # accepted", block(f"with accepted({words!r}):", second)])
    if match := _ERROR.fullmatch(words):
        return "\n".join([other, f"{plain}  # accepted", block(f"with raises({match['kind']!r}):", second)])
    if crash.aspect not in ("dtype", "shape", "bytes") or crash.rule.name.partition(".")[2].startswith(_ADDS):
        return ""
    again = Call(call.name, "", tensors=_tensors(call).replace("FILE", "OTHER").replace("path", "stored(OTHER)"))
    return f"{other}\n{_equal(script, call, again, crash.aspect)}"


def _leak(crash: Crash, script: Script, data: bytes, variant: bytes) -> str:
    readers = dict.fromkeys(scripts.for_old(call.source) for call in script.calls if not call.name.startswith("save"))
    lines = [f"lambda: {source}" for source in readers]
    if len(lines) == 1:
        return f"assert not grows({crash.aspect!r}, {lines[0]})"
    return "\n".join(["assert not grows(", f"    {crash.aspect!r},", *(f"    {line}," for line in lines), ")"])


_MAKERS: dict[str, Callable[[Crash, Script, bytes, bytes], str]] = {
    "accepted": _accepted, "refused": _refused, "panic": _outcome, "raise": _outcome, "death": _death, "misread": _misread,
    "relation": _relation, "reserialized": _reserialized, "leak": _leak, "agreement": _agreement, "saved": _saved,
    "values": _values, "refused-call": _refused,
}  # fmt: skip
