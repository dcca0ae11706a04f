"""The full judgement of one run: every oracle that applies, off the hot path.

The fuzzing worker judges most runs by cheap means and comes here for what it keeps; the replay child comes here
for everything. Both therefore see the same findings for the same input.
"""

from __future__ import annotations

from harness.format import judge
from harness.format.judge import Judgement
from harness.observation import ACCEPT, Observation, Run
from harness.oracles import contract, differential
from harness.oracles.base import Finding
from harness.targets.base import Target


def judgement_of(target: Target, data: bytes) -> Judgement | None:
    """What the independent judge says of ``data``; None where the target is not judged by it.

    The judge itself (target ``model``) is only held to its contract. A target whose inputs are no files but programs
    that make them sets ``judged`` to False and may bring its own oracle, ``check(data, observation) -> list[Finding]``.
    """
    if not target.uses_parser or not getattr(target, "judged", True):
        return None
    return judge.judge(data)


def judge_run(target: Target, run: Run, data: bytes) -> list[Finding]:
    """Run ``data`` on ``target``, opened in this process as ``run``, and return every finding."""
    return judge_observation(target, run, data, run(data))


def judge_observation(target: Target, run: Run, data: bytes, observation: Observation) -> list[Finding]:
    """Every finding of a run that was observed already; ``run`` serves the oracles that compare further runs."""
    findings = contract.check(observation)
    own = getattr(target, "check", None)
    if own is not None:
        findings += own(data, observation)
    judgement = judgement_of(target, data)
    if judgement is None:
        return findings
    reading = target.reading(observation[2]) if observation[0] == ACCEPT else None
    findings += differential.check(data, judgement, observation, reading)
    return findings


def isolated(target: Target, data: bytes, kind: str, sign: str) -> Finding:
    """The finding of a run that its process did not survive: ``kind`` is crash, hang or memory.

    ``sign`` says how the process ended (``SIGSEGV``, ``timeout``, ...). What the judge says of the input goes into the
    aspect, because nothing else is known of the place: inputs broken in the same way die in the same way.
    """
    judgement = judgement_of(target, data)
    state = "" if judgement is None else f"/{judgement.rule or judgement.verdict}"
    words = {
        "crash": f"the process died: {sign}",
        "hang": "the run did not end within its time limit",
        "memory": "the run asked for more memory than its limit",
    }
    return Finding("isolation", kind, kind, f"{sign}{state}", words[kind])
