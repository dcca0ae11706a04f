"""The full judgement of one run: every oracle that applies, off the hot path.

The fuzzing worker judges most runs by cheap means and comes here for what it keeps; the replay child comes here
for everything. Both therefore see the same findings for the same input.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.findings.finding import Finding, normalise
from harness.format import judge
from harness.format.judge import Judgement
from harness.observation import ACCEPT, PANIC, RAISE, REJECT, Observation, Reading, Run
from harness.oracles import contract, differential, metamorphic
from harness.oracles import leaks as leak_oracle
from harness.targets import base
from harness.targets.base import Target


def judgement_of(target: Target, data: bytes) -> Judgement | None:
    """What the independent judge says of ``data``; None where the target is not judged by it.

    The judge itself (target ``model``) is only held to its contract; a target whose inputs are no files but programs
    that make them brings its own oracle, ``check(data, observation) -> list[Finding]``.
    """
    if not target.judged:
        return None
    return judge.judge(data)


def own_check(target: Target) -> Callable[[bytes, Observation], list[Finding]] | None:
    """The oracles that ``target`` brings or lists, as one; None where it leaves all to the judge of files."""
    own, oracles = getattr(target, "check", None), base.oracles(target)
    if own is None and not oracles:
        return None

    def check(data: bytes, observation: Observation) -> list[Finding]:
        found = [one for oracle in oracles for one in oracle(data, observation)]
        return found + own(data, observation) if own is not None else found

    return check


def judge_run(target: Target, run: Run, data: bytes) -> list[Finding]:
    """Run ``data`` on ``target``, opened in this process as ``run``, and return every finding."""
    return judge_observation(target, run, data, run(data))


def judge_observation(
    target: Target,
    run: Run,
    data: bytes,
    observation: Observation,
    *,
    relations: bool = True,
    leaks: bool = False,
    variants: dict[Finding, bytes] | None = None,
) -> list[Finding]:
    """Every finding of a run that was observed already.

    With ``relations``, accepted files are also run in about thirty other spellings (the metamorphic oracle);
    ``variants`` then gets the other spelling that each of its findings is about, as far as it can be told. With ``leaks``,
    every file is run some fifty times more, and what those runs leave behind is judged.
    """
    findings = contract.check(observation)
    own = own_check(target)
    if own is not None:
        findings += own(data, observation)
    judgement = judgement_of(target, data)
    if judgement is None:
        return findings
    outcome, _, value = observation
    if outcome == ACCEPT:
        findings += differential.accepted(data, judgement, target.reading(value))
    elif isinstance(value, Reading):
        # Read in part: what was read is compared like that of an accepted file.
        findings += differential.accepted(data, judgement, value)
    else:
        findings += differential.check(data, judgement, observation, None)
    if relations:
        recorder = _Recorder(run)
        related = metamorphic.check(data, judgement, recorder, target, observation)
        findings += related
        if variants is not None:
            variants |= {finding: other for finding in related if (other := recorder.variant(finding)) is not None}
    if leaks:
        findings += leak_oracle.check(run, data)
    return findings


class _Recorder:
    """A run that remembers what it ran."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._runs: list[tuple[bytes, Observation]] = []

    def __call__(self, data: bytes) -> Observation:
        observation = self._run(data)
        self._runs.append((data, observation))
        return observation

    def variant(self, finding: Finding) -> bytes | None:
        """The run that ``finding`` speaks of: by how it ended, else the plain spelling."""
        words, _, message = finding.aspect.partition(":")
        ends = {"refused": REJECT, "raised": RAISE, "panicked": PANIC}
        if words in ends:
            for data, (outcome, error, _) in self._runs:
                if outcome == ends[words] and normalise(error) == message:
                    return data
            return None
        return next((data for data, observation in self._runs[1:] if observation[0] == ACCEPT), None)


def isolated(target: Target, data: bytes, kind: str, sign: str, call: str = "") -> Finding:
    """The finding of a run that its process did not survive: ``kind`` is crash, hang or memory.

    ``sign`` says how the process ended (``SIGSEGV``, ``timeout``, ...). What the judge says of the input goes into the
    aspect, because nothing else is known of the place: inputs broken in the same way die in the same way. Of a program,
    ``call`` names the call that it was at. Where only another implementation ends a process so (attribute ``others`` of the
    target), neither is said: it may end long after the input that it ends on.
    """
    judgement = judgement_of(target, data)
    state = f"/{call}" if call else "" if judgement is None else f"/{judgement.rule or judgement.verdict}"
    if base.about_another(target, f"{target.name}|{kind}|{kind}|{sign}"):
        state = ""
    words = {
        "crash": f"the process died: {sign}",
        "hang": "the run did not end within its time limit",
        "memory": "the run asked for more memory than its limit",
    }
    return Finding("isolation", kind, kind, f"{sign}{state}", f"{words[kind]}, in {call}" if call else words[kind])
