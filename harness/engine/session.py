"""The hot loop: run one input, judge it, reward what is new. Everything in here happens 60,000 times a second.

Two tiers of judging. On every execution: how the run ended (only documented errors), and the parser's own reason
for refusing. In full: every accepted input, the inputs libFuzzer kept, every refusal of an input that the mutator
meant to be valid, and a sample of the other refusals (the first 64 of each reason, then one in ``refused_sample``).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from harness.engine.isolation import Remote
from harness.engine.semantics import SemanticCounters
from harness.engine.slot import Slot
from harness.engine.tally import ACCEPTED, KEY_LENGTH, Found, Tally
from harness.format.judge import Judgement, judge
from harness.oracles import contract, differential
from harness.oracles.base import Finding
from harness.targets.base import ACCEPT, REJECT, Observation, Reading, Run, Target
from harness.triage.judging import judge_run, own_check
from harness.triage.signature import finding_id, signature
from harness.triage.store import known

_FIRST = 64


def _ignore(key: Hashable) -> None:
    """In place of the counters when they are switched off."""


_TIMED_EVERY = 256
_LOOK_EVERY = 1000


class Session:
    """One target in one process, with its counters, its tally and what it found."""

    def __init__(
        self,
        target: Target,
        run: Run,
        counters: SemanticCounters,
        slot: Slot,
        *,
        oracles: bool = True,
        semantics: bool = True,
        refused_sample: int = 64,
        on_new: Callable[[Found], None],
        on_tick: Callable[[], None],
        on_defect: Callable[[Exception, bytes], None],
    ) -> None:
        self.target = target
        self.tally = Tally(staged=target.uses_parser and target.judged)
        self._run = run
        self._slot = slot
        #: Whether the independent judge reads this target's inputs; else the target brings its own ``check``.
        self._oracles = oracles and target.uses_parser and target.judged
        self._own = own_check(target) if oracles else None
        self._features_of = getattr(target, "features", None) if oracles else None
        self._contract = oracles
        self._hit: Callable[[Hashable], None] = counters.hit if semantics else _ignore
        self._sample = refused_sample
        self._on_new = on_new
        self._on_tick = on_tick
        self._on_defect = on_defect
        self._next_tick = 1
        self._ticked_at = 0
        self._last_tick = self._started = time.monotonic()
        #: Set by the worker before each execution: the mutator meant the input to be valid.
        self.expect_valid = False
        #: What the last input that ran apart showed.
        self.latest: Found | None = None
        self._members: set[bytes] = set()
        self._wrongly: dict[tuple[str, str], Found] = {}
        #: Members that the costly oracles have not looked at, and the execution from which the next one is due.
        self.pending: deque[bytes] = deque()
        self.next_look = 0

    def execute(self, data: bytes) -> None:
        """Run and judge one input: atheris' callback."""
        tally = self.tally
        tally.executions = executions = tally.executions + 1
        self._slot.put(data)
        try:
            if executions % _TIMED_EVERY:
                self._judge(data, self._run(data))
            else:
                self._timed(data)
        except Exception as error:  # the run catches what the parser throws: this is ours
            self._on_defect(error, data)
        if executions >= self._next_tick:
            self._tick()

    def bare(self, data: bytes) -> None:
        """Run one input and nothing else: what the bench compares :meth:`execute` with."""
        tally = self.tally
        tally.executions = executions = tally.executions + 1
        self._run(data)
        if executions >= self._next_tick:
            self._tick()

    def _timed(self, data: bytes) -> None:
        """The same as in :meth:`execute`, under the clock: a sample, because reading the clock costs as much."""
        clock = time.thread_time_ns
        start = clock()
        observation = self._run(data)
        ran = clock()
        self._judge(data, observation)
        tally = self.tally
        tally.judge_ns += clock() - ran
        tally.run_ns += ran - start
        tally.timed += 1
        tally.sizes[len(data)] += 1

    def _judge(self, data: bytes, observation: Observation) -> None:
        outcome, error, value = observation
        if outcome is REJECT:
            self._refused(data, error)
        elif outcome is ACCEPT:
            self._accepted(data, value)
        else:
            self._failed(data, observation)
        if self._own is not None:
            for finding in self._own(data, observation):
                self.report(data, finding)
        if self._features_of is not None:
            for key in self._features_of(observation):
                self._hit(key)

    def _refused(self, data: bytes, error: str) -> None:
        place = error.find(": ") + 2
        key = error[place : place + KEY_LENGTH]
        stages = self.tally.stages
        seen = stages[key] = stages[key] + 1
        # The parser's reason is a feature; of JSON errors the reader's own first words too, without the names in them.
        self._hit(error[place : place + KEY_LENGTH] if key != "invalid JSON" else error[place + 24 : place + 36])
        if self._oracles and (self.expect_valid or seen <= _FIRST or seen % self._sample == 0):
            self._judge_refusal(data, key, error)

    def _judge_refusal(self, data: bytes, key: str, error: str) -> None:
        judgement = judge(data)
        tally = self.tally
        tally.judged += 1
        tally.judged_refused += 1
        rule = judgement.rule or ACCEPTED
        tally.rules[rule] += 1
        self._hit((rule, judgement.aspect, key))
        for finding in differential.refused(data, judgement, error):
            self.report(data, finding)

    def _accepted(self, data: bytes, value: Any) -> None:
        tally = self.tally
        tally.stages[ACCEPTED] += 1
        if not self._oracles:
            return
        judgement = judge(data)
        tally.judged += 1
        rule = judgement.rule or ACCEPTED
        tally.rules[rule] += 1
        self._hit((rule, judgement.aspect))
        if judgement.verdict == "reject":
            self._accepted_wrongly(data, judgement, value)
            return
        for finding in differential.accepted(data, judgement, self.target.reading(value)):
            self.report(data, finding)
        self._features(judgement)

    def _accepted_wrongly(self, data: bytes, judgement: Judgement, value: Any) -> None:
        """One in ten executions shows a defect that is known since the first second: it is counted, and not described."""
        key = (judgement.rule, judgement.aspect)
        found = self._wrongly.get(key)
        if found is not None and len(data) >= len(found.smallest):
            found.count += 1
            return
        for finding in differential.accepted(data, judgement, self.target.reading(value)):
            self._wrongly[key] = self.report(data, finding)

    def _features(self, judgement: Judgement) -> None:
        header = judgement.header
        if header is None:
            return
        hit = self._hit
        tensors = header.tensors
        hit((len(tensors).bit_length(), header.metadata is not None, header.size & 7 == 0))
        for tensor in tensors[:8]:
            shape = tensor.shape
            hit((tensor.dtype, min(len(shape), 6), 0 in shape))

    def _failed(self, data: bytes, observation: Observation) -> None:
        """An undocumented error or a panic: rare, so everything is looked at."""
        outcome, _, value = observation
        self.tally.stages[outcome] += 1
        if self._contract:
            for finding in contract.check(observation):
                self.report(data, finding)
                self._hit((finding.rule, finding.aspect))
        if self._oracles and isinstance(value, Reading):
            judgement = judge(data)
            self.tally.judged += 1
            self.tally.rules[judgement.rule or ACCEPTED] += 1
            for finding in differential.accepted(data, judgement, value):
                self.report(data, finding)
            self._features(judgement)

    def members(self, fresh: list[bytes]) -> None:
        """The mutator was handed these for the first time: at mutate depth 1 they are new members of the corpus."""
        for data in fresh:
            if data not in self._members:
                self._members.add(data)
                self.tally.bases += 1
                if self._oracles:
                    self.pending.append(data)

    def examine(self) -> None:
        """Every oracle looks at the next member, the metamorphic one included.

        As that takes a hundred runs' time, it is one member in a thousand executions; and it happens between two
        executions, where libFuzzer reads no counters.
        """
        self.next_look = self.tally.executions + _LOOK_EVERY
        member = self.pending.popleft()
        for finding in judge_run(self.target, self._run, member):
            self.report(member, finding)

    def report(self, data: bytes, finding: Finding) -> Found:
        """Count a finding; keep its smallest input, and store a new signature at once."""
        key = (finding.oracle, finding.kind, finding.rule, finding.aspect)
        found = self.tally.found.get(key)
        if found is None:
            text = signature(self.target.name, finding)
            found = Found(
                id=finding_id(text),
                signature=text,
                target=self.target.name,
                oracle=finding.oracle,
                kind=finding.kind,
                rule=finding.rule,
                aspect=finding.aspect,
                summary=finding.summary,
                known=known(text) or "",
                first_execution=self.tally.executions,
                first_seconds=round(time.monotonic() - self._started, 3),
            )
            self.tally.found[key] = found
        found.count += 1
        if found.count == 1 or len(data) < len(found.smallest):
            found.smallest, found.summary = data, finding.summary
        if found.count == 1:
            self._on_new(found)
        return found

    def apart(self, data: bytes, run: Callable[[bytes], Remote]) -> None:
        """One input whose run and judgement happen in another process: count it, and reward what it showed."""
        tally = self.tally
        tally.executions = executions = tally.executions + 1
        try:
            outcome, error, findings, features = run(data)
        except Exception as failure:
            self._on_defect(failure, data)
        else:
            tally.isolated += 1
            place = error.find(": ") + 2
            key = error[place : place + KEY_LENGTH] if outcome == REJECT else outcome
            tally.stages[ACCEPTED if outcome == ACCEPT else key] += 1
            self._hit((outcome, key))
            for finding in findings:
                self.latest = self.report(data, finding)
            for feature in features:
                self._hit(feature)
        if executions >= self._next_tick:
            self._tick()

    def _tick(self) -> None:
        """About every 50 ms of clock time, however quick the target is; a slow one ticks on each execution."""
        now = time.monotonic()
        rate = (self.tally.executions - self._ticked_at) / max(now - self._last_tick, 1e-6)
        self._last_tick, self._ticked_at = now, self.tally.executions
        self._next_tick = self._ticked_at + max(1, min(int(rate * 0.05), 20_000))
        self._on_tick()
