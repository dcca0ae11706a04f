"""The full judgement of one run: every oracle that applies, off the hot path.

The fuzzing worker judges most runs by cheap means and comes here for the inputs that it keeps. The replay child comes here
for everything. Both therefore see the same findings for the same input.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import HarnessError
from harness.findings.finding import Finding
from harness.format import judge
from harness.format.judge import Judgement
from harness.observation import Observation, Run
from harness.oracles import contract, deaths, differential, guard, leaks, metamorphic
from harness.oracles.oracle import Execution, Oracle
from harness.programs import guarded
from harness.targets.base import Target

#: Oracles of every target; those of targets whose inputs the independent judge reads; those that run an input many times.
EVERY: tuple[Oracle, ...] = (contract.check,)
OF_FILES: tuple[Oracle, ...] = (differential.check,)
COSTLY: tuple[Oracle, ...] = (metamorphic.check,)


class UndeclaredRuleError(HarnessError):
    """An oracle reported a rule that it does not declare."""


def judgement_of(target: Target, data: bytes) -> Judgement | None:
    """The independent judge's word on ``data``; None where the target's inputs are no files, or are the judge's own."""
    return judge.judge(data) if target.judged else None


def ask(oracle: Oracle, execution: Execution) -> list[Finding]:
    """The findings of one oracle. Raises UndeclaredRuleError for a rule that it does not declare."""
    found = oracle.check(execution)
    for finding in found:
        if not oracle.covers(finding.rule):
            raise UndeclaredRuleError(
                f"oracle {oracle.name} reported the rule {finding.rule.name!r}, which it does not declare",
                hint="list the rule in @oracle(...)",
            )
    return found


def own_check(target: Target) -> Callable[[bytes, Observation], list[Finding]] | None:
    """The oracles that ``target`` lists, as one; None where it lists none."""
    oracles = target.oracles
    if not oracles:
        return None

    def check(data: bytes, observation: Observation) -> list[Finding]:
        execution = Execution(data, observation, target=target)
        return [found for oracle in oracles for found in ask(oracle, execution)]

    return check


def guard_check(target: Target, run: Run) -> Callable[[bytes, Observation], list[Finding]] | None:
    """The oracle of guarded memory, for a share of a campaign's inputs; None where the target or the machine has none."""
    every = target.guarded_every
    if not every or guarded.why_not():
        return None

    def check(data: bytes, observation: Observation) -> list[Finding]:
        if not guard.chosen(data, every):
            return []
        return ask(guard.check, Execution(data, observation, run=run, target=target))

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
    leaking: bool = False,
    memory: bool = False,
    variants: dict[Finding, bytes] | None = None,
) -> list[Finding]:
    """Every finding of a run that was observed already, on its target.

    With ``relations``, accepted files are also run in about thirty other spellings (the metamorphic oracle).
    ``variants`` then gets the other spelling that each of its findings is about, as far as it can be told. With
    ``leaking``, every file is run some fifty times more, and the leak oracle judges the leaks of those runs. With ``memory``,
    the input also runs in guarded memory where its target does so.
    """
    execution = Execution(data, observation, judgement_of(target, data), run, target)
    oracles = [*EVERY, *target.oracles]
    if execution.judgement is not None:
        oracles += [*OF_FILES, *(COSTLY if relations else ()), *((leaks.check,) if leaking else ())]
    if memory and target.guarded_every:
        oracles.append(guard.check)
    found = [finding.on(target.name) for oracle in oracles for finding in ask(oracle, execution)]
    if variants is not None:
        variants |= {finding.on(target.name): other for finding, other in execution.variants.items()}
    return found


def leaks_of_program(target: Target, run: Run, data: bytes, observation: Observation) -> list[Finding]:
    """The leaks of many runs of a program. Call it in a process that may die: a program may end it sooner or later."""
    execution = Execution(data, observation, None, run, target)
    return [finding.on(target.name) for finding in ask(leaks.check, execution)]


def death(target: Target, data: bytes, kind: str, sign: str, call: str = "") -> Finding:
    """The finding of a run that its process did not survive: ``kind`` is crash, hang or memory.

    ``sign`` says how the process ended (``SIGSEGV``, ``timeout``, ...). Nothing else is known of the place, so the
    aspect also has the judge's word on a file, or the ``call`` that a program was at. Where only another implementation
    ends a process so (:attr:`Target.foreign`), it has neither: the process may end long after the input that ends it.
    """
    judgement = judgement_of(target, data)
    state = call or ("" if judgement is None else judgement.rule or judgement.verdict)
    if target.about_another(f"{target.name}|{kind}|{kind}|{sign}"):
        state = ""
    return deaths.death(kind, sign, state, call).on(target.name)
