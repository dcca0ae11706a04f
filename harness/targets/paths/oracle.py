"""A call ends as the files of its folder say: before the act of the other process or after it, never in between.

The right answer is asked of the operating system. A plain read of the same path with the same rights tells what a reader should
meet. A plain write into a twin of the folder tells what a writer may do, as release 0.7.0 wrote. A reader may give the content
before or after an act, or raise the error of either. A writer that fails leaves all files as they were.
"""

from __future__ import annotations

import errno
import os
from functools import lru_cache

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Rule
from harness.format.judge import judge
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.oracles.written import mode_aspect
from harness.programs.arrays import NUMPY_NAMES
from harness.targets.paths.facts import Facts
from harness.targets.paths.program import (
    FILES,
    PIPES,
    READINGS,
    SAME_PATH,
    Tensors,
    tensors,
    told,
)
from harness.targets.paths.rules import (
    LEFT_OVER,
    LOST,
    MODE,
    OPEN,
    OPEN_FILE,
    OWNER,
    PROTECTED,
    READ,
    REFUSED,
    REPLACED,
    WAIT,
    WRITTEN,
)  # fmt: skip
from harness.targets.paths.world import Look

#: Acts that put a content, or take the file away.
_BRINGS = ("replace", "to-symlink")


@oracle(READ, OPEN, OPEN_FILE, WAIT, WRITTEN, LOST, REPLACED, PROTECTED, REFUSED, OWNER, MODE, LEFT_OVER)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program, against the files of their folders."""
    trace = execution.trace
    if trace is None:
        return []
    return [found for event in trace.events for found in _check(event)]


def _check(event: Event) -> list[Finding]:
    facts: Facts = event.about
    scene = facts.scene
    if facts.waited:
        side = "reader" if scene.reads else "writer"
        return [Finding(WAIT, side, f"{told(scene)}: the call waits for the other end of the pipe")]
    return _read(event, facts) if scene.reads else _wrote(event, facts)


def _found(rule: Rule, facts: Facts, aspect: str, words: str) -> list[Finding]:
    return [Finding(rule, aspect, f"{told(facts.scene)}: {words}")]


# Readers.


def _read(event: Event, facts: Facts) -> list[Finding]:
    scene = facts.scene
    if event.outcome not in (ACCEPT, REJECT) or (facts.acted and scene.in_place):
        return []
    if event.outcome == ACCEPT:
        return _gave(event, facts)
    error = type(event.value).__name__
    if error == "TypeError" or scene.spelling == "raises":
        return []
    if scene.call == "handle":
        return _handle_refused(event, facts)
    states = [facts.read_before, *([facts.read_after] if facts.acted else [])]
    causes = {state.error for state in states if state.error}
    if facts.acted and scene.faulty:
        assert scene.act is not None
        if scene.act.name == "short":
            return _refused(event, facts)
        causes = {"OSError"} if error != "SafetensorError" and scene.act.name != "ENOENT" else {error}
    unfit = any(not state.error and state.content not in READINGS for state in states)
    if error == "SafetensorError" and (unfit or causes or _undecodable(facts)):
        return []
    if unfit and isinstance(event.value, OSError) and error != "FileNotFoundError":
        return []
    if not causes and not unfit:
        return _refused(event, facts)
    if any(_fits(event.value, cause) for cause in causes):
        return []
    if error == "FileNotFoundError":
        return _found(OPEN, facts, f"unreadable:{error}", f"raised {event.error[:200]}, should raise {_any(causes)}")
    aspect = f"folder:{error}" if "IsADirectoryError" in causes else f"{_any(causes)}:{error}"
    return _found(OPEN, facts, aspect, f"raised {event.error[:200]}, should raise {_any(causes)}")


def _fits(error: BaseException, cause: str) -> bool:
    """Whether an error tells the cause, a name of Python's. FileNotFoundError tells of nothing else."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return cause in kinds and (cause == "FileNotFoundError") == ("FileNotFoundError" in kinds)


def _any(causes: set[str]) -> str:
    return " or ".join(sorted(causes)) or "nothing"


def _undecodable(facts: Facts) -> bool:
    """Whether torch or paddle is asked for a path that is no UTF-8: they take none, and the parser says so."""
    return facts.scene.framework != "numpy" and facts.scene.name == "undecodable"


def _refused(event: Event, facts: Facts) -> list[Finding]:
    act = f"{facts.scene.act.name}: " if facts.acted and facts.scene.act else ""
    return _found(READ, facts, f"{act}refused: {normalise(event.error)}", f"refused a whole file: {event.error[:200]}")


def _gave(event: Event, facts: Facts) -> list[Finding]:
    scene, value = facts.scene, event.value
    states = [facts.read_before, *([facts.read_after] if facts.acted else [])]
    right = [READINGS[state.content] for state in states if state.content is not None and state.content in READINGS]
    if scene.thing == "fed-fifo":
        right.append(tensors(scene.content))
    if value in right:
        return []
    if scene.call == "handle":
        named = [one.content for one in (facts.before[0], facts.after[0])]
        if any(raw is not None and READINGS.get(raw) == value for raw in named):
            return _found(OPEN_FILE, facts, "elsewhere:misread", "gave the file that has the name by now")
    if scene.spelling in ("int", "file") and not right:
        return []
    way = f"{scene.framework}.{scene.backend}"
    if not right:
        return _found(READ, facts, f"{way}: given", f"gave {_names(value)}, and no valid file was there")
    act = scene.act.name if facts.acted and scene.act else "nothing"
    act = "replaced" if act in _BRINGS else act
    return _found(READ, facts, f"{way}: {act}: mixed", f"gave {_names(value)} with bytes that no file held")


def _names(value: Tensors) -> str:
    return f"tensors {list(value)!r:.80}"


def _handle_refused(event: Event, facts: Facts) -> list[Finding]:
    content = facts.read_before.content
    if content not in READINGS or facts.scene.faulty:
        return []
    missing = type(event.value).__name__ == "FileNotFoundError"
    aspect = "nowhere:FileNotFoundError" if missing else "elsewhere:misread"
    return _found(OPEN_FILE, facts, aspect, f"raised {event.error[:200]}, and the file is open")


# Writers.


def _wrote(event: Event, facts: Facts) -> list[Finding]:
    if event.outcome == ACCEPT:
        found = _saved(facts)
    else:
        found = _failed(event, facts)
    return found + _left_over(event, facts)


def _moved(facts: Facts) -> bool:
    """Whether the other process touched the files."""
    return facts.acted and not facts.scene.faulty


def _saved(facts: Facts) -> list[Finding]:
    scene, before, after = facts.scene, facts.before[0], facts.after[0]
    if scene.spelling not in SAME_PATH:
        return []
    if _moved(facts):
        assert scene.act is not None
        if scene.in_place or scene.act.name not in (*_BRINGS, "forbid", "forbid-folder", "sweep"):
            return []
        brought = after.content == FILES[scene.act.content] and scene.act.name in _BRINGS
        hidden = scene.act.name == "forbid-folder" and after.kind == "absent"
        whole = brought or hidden or _holds(after, scene.given)
        return [] if whole else _found(WRITTEN, facts, scene.act.name, "the file is not whole")
    kept = (after.kind, after.device, after.to) == (before.kind, before.device, before.to)
    if before.kind not in ("absent", "file") and not kept:
        # One cause for a pipe, a socket and a device. The file behind a link keeps other content.
        aspect = "link" if before.kind == "link" else "special"
        return _found(REPLACED, facts, aspect, f"in the place of a {before.kind} there is a {after.kind}")
    if facts.plain is not None and facts.plain.error:
        return _found(
            PROTECTED, facts, facts.plain.error, f"was written, where a plain write raises {facts.plain.error}"
        )
    if scene.thing in PIPES:
        fits = _reading(facts.piped) == tensors(scene.given)
        return [] if fits else _found(WRITTEN, facts, "pipe", f"{len(facts.piped)} bytes came through the pipe")
    if before.kind == "device" or after.kind == "device" or scene.thing in ("symlink-null", "proc", "mem"):
        return []
    if not _holds(after, scene.given):
        return _found(WRITTEN, facts, after.kind, f"the path holds a {after.kind} of another content")
    return _kept(facts, before, after)


def _kept(facts: Facts, before: Look, after: Look) -> list[Finding]:
    """Mode and owner of a file that was written, against those that a plain write leaves."""
    if facts.twin is None or facts.twin[0].kind != "file" or after.kind != "file":
        return []
    twin, found = facts.twin[0], []
    aspect = "existing" if before.kind == "file" else "new"
    if after.mode != twin.mode:
        wrong = mode_aspect(aspect, after.mode, twin.mode)
        found += _found(MODE, facts, wrong, f"the file has mode {after.mode:o}, should have {twin.mode:o}")
    if after.owner != twin.owner:
        found += _found(OWNER, facts, aspect, f"the file belongs to user {after.owner}, not to {twin.owner}")
    return found


def _failed(event: Event, facts: Facts) -> list[Finding]:
    scene = facts.scene
    if _moved(facts):
        assert scene.act is not None
        olds = (facts.before[0].content, FILES[scene.act.content], None)
        whole = scene.in_place or facts.after[0].content in olds
        words = f"{event.error[:200]}; the file at the path is neither the old nor the new one"
        return [] if whole else _found(LOST, facts, scene.act.name, words)
    for before, after in zip(facts.before, facts.after, strict=True):
        same = (before.kind, before.inode, before.to) == (after.kind, after.inode, after.to)
        if not same or before.content != after.content:
            return _found(LOST, facts, scene.thing, f"{event.error[:200]}; the {before.kind} is now a {after.kind}")
    allowed = scene.annotated and not facts.acted
    if facts.plain is None or facts.plain.error or not allowed or event.outcome != REJECT:
        return []
    if scene.spelling not in SAME_PATH:
        return []
    words = f"{event.error[:200]}, where a plain write succeeds"
    # The longest path leaves no room for a longer name beside it. A refused short path has another cause.
    short = scene.name != "longest-path" and os.strerror(errno.ENAMETOOLONG) in event.error
    return _found(REFUSED, facts, normalise(event.error) + " (short path)" * short, words)


def _left_over(event: Event, facts: Facts) -> list[Finding]:
    scene = facts.scene
    if scene.act is not None and facts.acted:
        stopped = facts.calls[scene.act.point]
        if scene.act.name == "forbid-folder" or (scene.faulty and stopped.startswith("unlink")):
            return []
    more = facts.names_after - facts.names - _asked(facts)
    return _found(LEFT_OVER, facts, event.outcome, f"{len(more)} files stay behind") if more else []


def _asked(facts: Facts) -> frozenset[str]:
    """Names that the call was asked to write."""
    target = facts.before[0].to
    return frozenset((facts.name, target) if target else (facts.name,))


def _holds(found: Look, number: int) -> bool:
    """Whether a file holds that content, as far as this user may read it."""
    return found.kind == "file" if found.content is None else _reading(found.content) == tensors(number)


@lru_cache(1 << 8)
def _reading(raw: bytes) -> Tensors | None:
    """The tensors of a valid file, by the judge; None for another file."""
    header = judge(raw).header
    if header is None or judge(raw).verdict != "accept":
        return None
    start = 8 + header.size
    return {
        name: (NUMPY_NAMES[dtype], tuple(shape), raw[start + begin : start + end])
        for name, dtype, shape, begin, end in header.tensors
    }
