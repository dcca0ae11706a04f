"""The hot loop: run one input, judge it, reward what is new. Everything in here happens 60,000 times a second.

Two tiers of judging. On every execution: how the run ended (only documented errors), and the parser's own reason
for refusing. In full: every accepted input, the inputs libFuzzer kept, every refusal of an input that the mutator
meant to be valid, and a sample of the other refusals (the first 64 of each reason, then one in ``refused_sample``:
128 unless told otherwise).

Judging in full waits until a few dozen inputs have come together (:meth:`Session.settle`): between two executions the
parser and libFuzzer empty the caches, and judging one input at a time takes three times as long. libFuzzer, which reads
our counters after each execution, is not kept waiting for anything new: an input whose judgement has a feature that
was never seen runs a second time, and is then judged at once. A worker that is killed loses what was waiting.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from harness.engine.worker.fork_server import Remote
from harness.engine.worker.semantics import SemanticCounters
from harness.engine.worker.slot import Slot
from harness.engine.worker.species import MOST, Sampler, spacing
from harness.engine.worker.tally import ACCEPTED, KEY_LENGTH, Found, Tally, refusal_key
from harness.findings.finding import Finding
from harness.format.judge import Judgement, judge
from harness.observation import ACCEPT, REJECT, Observation, Reading, Run
from harness.oracles import contract, differential
from harness.oracles.oracle import Execution
from harness.replay.judge import judge_run, own_check
from harness.targets.base import Target
from harness.targets.known_findings import known

_FIRST = 64


def _ignore(key: Hashable) -> None:
    """In place of the counters when they are switched off."""


def _kind(dtype: str, shape: Sequence[int]) -> Hashable:
    return dtype, min(len(shape), 6), 0 in shape


_TIMED_EVERY = 256
_LOOK_EVERY = 1000
_TOGETHER = 24
"""Inputs judged at a time: enough to warm the caches up, few enough to be worth little when a worker is killed."""


class Intent(Protocol):
    """Whoever makes the inputs: whether the one that runs now was meant to be valid."""

    expect_valid: bool


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
        refused_sample: int = 128,
        runs: int = 0,
        sampler: Sampler | None = None,
        on_new: Callable[[Found], None],
        on_tick: Callable[[], None],
        on_defect: Callable[[Exception, bytes], None],
    ) -> None:
        self.target = target
        self.tally = Tally(staged=target.judged)
        self._run = run
        self._slot = slot
        #: Whether the independent judge reads this target's inputs; else the target brings its own ``check``.
        self._oracles = oracles and target.judged
        self._own = own_check(target) if oracles else None
        self._features_of = target.features if oracles and target.has_features else None
        self._contract = oracles
        self._counters = counters
        self._hit: Callable[[Hashable], None] = counters.hit if semantics else _ignore
        self._sample = refused_sample
        self._runs = runs
        self._sampler = sampler
        # Executions whose number has none of these bits are sampled: 0 for each, as the spacing is a power of two.
        self._between_samples = (sampler.every if sampler is not None else MOST) - 1
        self._on_new = on_new
        self._on_tick = on_tick
        self._on_defect = on_defect
        self._next_tick = 1
        self._ticked_at = 0
        self._last_tick = self._started = time.monotonic()
        self._cpu = time.thread_time()
        self._waiting: list[tuple[bytes, Observation]] = []
        #: Whether inputs are judged as they run: the seeds, and what runs for the second time.
        self.at_once = True
        #: Whether what comes is passed over: see :meth:`stop`.
        self.over = False
        #: What should run for the second time.
        self.again: list[bytes] = []
        self._awaited: set[Hashable] = set()
        #: What the last input that ran apart showed.
        self.latest: Found | None = None
        self._wrongly: dict[tuple[str, str], Found] = {}
        #: Members that the costly oracles have not looked at, and the execution from which the next one is due.
        self.pending: deque[bytes] = deque()
        self.next_look = 0

    def executor(self, intent: Intent) -> Callable[[bytes], None]:
        """What runs and judges one input: atheris' callback. A closure, as it is quicker than a method."""
        tally, run, put = self.tally, self._run, self._slot.put
        stages, index, table, hit = tally.stages, self._counters.index, self._counters.table, self._hit
        oracles, own, sample, waiting = self._oracles, self._own, self._sample, self._waiting
        features_of, sampler = self._features_of, self._sampler

        def look(data: bytes, observation: Observation) -> None:
            outcome = observation[0]
            if outcome is REJECT:
                error = observation[1]
                place = error.find(": ") + 2
                key = error[place : place + KEY_LENGTH]
                seen = stages[key] = stages[key] + 1
                # The parser's reason is a feature; of JSON errors the reader's own first words too, without the names.
                reason = key if key != "invalid JSON" else error[place + 24 : place + 36]
                if reason in index:
                    table[index[reason]] = 1
                else:
                    hit(reason)
                if oracles and (intent.expect_valid or seen <= _FIRST or seen % sample == 0):
                    waiting.append((data, observation))
                    if self.at_once:
                        self.settle()
            elif outcome is ACCEPT:
                stages[ACCEPTED] += 1
                if oracles:
                    self._accepted(data, observation)
            else:
                self._failed(data, observation)
            if own is not None:
                for finding in own(data, observation):
                    self.report(data, finding)
            if features_of is not None:
                for feature in features_of(observation):
                    hit(feature)

        def timed(data: bytes) -> None:
            """The same under the clock: a sample, because reading the clock costs as much."""
            clock = time.thread_time_ns
            start = clock()
            observation = run(data)
            ran = clock()
            look(data, observation)
            tally.judge_ns += clock() - ran
            tally.run_ns += ran - start
            tally.timed += 1
            tally.sizes[len(data)] += 1

        def execute(data: bytes) -> None:
            tally.executions = executions = tally.executions + 1
            put(data)
            try:
                if executions & self._between_samples:
                    look(data, run(data))
                elif self.over:
                    tally.executions -= 1
                    return
                else:
                    if executions % _TIMED_EVERY:
                        look(data, run(data))
                    else:
                        timed(data)
                    if sampler is not None:
                        sampler.take()
            except Exception as error:  # the run catches what the parser throws: this is ours
                self._on_defect(error, data)
            if executions >= self._next_tick:
                self._tick()

        return execute

    def stop(self) -> None:
        """Pass over what comes from now on: libFuzzer says what its seeds cover behind the last of them."""
        # Each execution is one to be sampled now, so that the others need not ask whether it is over.
        self.over, self._between_samples = True, 0

    def bare(self, data: bytes) -> None:
        """Run one input and nothing else: what the bench compares :meth:`executor` with."""
        tally = self.tally
        tally.executions = executions = tally.executions + 1
        self._run(data)
        if executions >= self._next_tick:
            self._tick()

    # -- judging in full --------------------------------------------------------------------------------------

    def due(self) -> bool:
        """Whether :meth:`settle` has enough to do."""
        return len(self._waiting) >= _TOGETHER

    def settle(self) -> None:
        """Judge in full what ran since the last call."""
        clock = time.thread_time_ns
        start = clock()
        for data, observation in self._waiting:
            try:
                if observation[0] is REJECT:
                    self._judge_refusal(data, observation[1])
                else:
                    self._judge_accepted(data, observation[2])
            except Exception as error:  # a defect of the judge or an oracle
                self._on_defect(error, data)
        self._waiting.clear()
        if not self.at_once:
            self.tally.settle_ns += clock() - start

    def _judged(self, data: bytes, key: Hashable) -> None:
        """Pay for what a judgement says: now, or where it is new by running ``data`` again."""
        if self.at_once:
            self._hit(key)
        elif key not in self._counters.index and key not in self._awaited:
            self._awaited.add(key)
            if not self.again or self.again[-1] is not data:
                self.again.append(data)

    def _judge_refusal(self, data: bytes, error: str) -> None:
        judgement = judge(data)
        tally = self.tally
        tally.judged += 1
        tally.judged_refused += 1
        rule = judgement.rule or ACCEPTED
        tally.rules[rule] += 1
        self._judged(data, (rule, judgement.aspect, refusal_key(error)))
        for finding in differential.refused(data, judgement, error):
            self.report(data, finding)

    def _accepted(self, data: bytes, observation: Observation) -> None:
        """Pay for what the parser read, and leave the rest to the judge."""
        self._features(data, self._reading(observation[2]))
        self._waiting.append((data, observation))
        if self.at_once:
            self.settle()

    def _reading(self, value: Any) -> Reading:
        return value if isinstance(value, Reading) else self.target.reading(value)

    def _judge_accepted(self, data: bytes, value: Any) -> None:
        judgement = judge(data)
        tally = self.tally
        tally.judged += 1
        rule = judgement.rule or ACCEPTED
        tally.rules[rule] += 1
        self._judged(data, (rule, judgement.aspect))
        if judgement.verdict == "reject":
            self._accepted_wrongly(data, judgement, value)
            return
        reading = self._reading(value)
        # A tensor that could not be read is in the judge's reading alone.
        for tensor in judgement.header.tensors[:8] if reading.partial and judgement.header else ():
            self._judged(data, _kind(tensor.dtype, tensor.shape))
        for finding in differential.accepted(data, judgement, reading):
            self.report(data, finding)

    def _accepted_wrongly(self, data: bytes, judgement: Judgement, value: Any) -> None:
        """One in ten executions shows a defect that is known since the first second: it is counted, and not described."""
        key = (judgement.rule, judgement.aspect)
        found = self._wrongly.get(key)
        if found is not None and len(data) >= len(found.smallest):
            found.count += 1
            return
        for finding in differential.accepted(data, judgement, self._reading(value)):
            self._wrongly[key] = self.report(data, finding)

    def _features(self, data: bytes, reading: Reading) -> None:
        index, table = self._counters.index, self._counters.table
        tensors = reading.tensors
        keys: list[Hashable] = [(len(tensors).bit_length(), b'"__metadata__"' in data, data[0] & 7)]
        for _, tensor in tensors[:8]:
            keys.append(_kind(tensor["dtype"], tensor["shape"]))
        for key in keys:
            if key in index:
                table[index[key]] = 1
            else:
                self._hit(key)

    def _failed(self, data: bytes, observation: Observation) -> None:
        """An undocumented error or a panic. What a file gave before it failed is judged like what was accepted."""
        outcome, _, value = observation
        self.tally.stages[outcome] += 1
        if self._contract:
            for finding in contract.check(Execution(data, observation)):
                self.report(data, finding)
                self._hit((finding.rule.name, finding.aspect))
        if self._oracles and isinstance(value, Reading):
            self._accepted(data, observation)

    def members(self, fresh: list[bytes]) -> None:
        """The mutator was handed these for the first time: at mutate depth 1 they are new members of the corpus."""
        self.tally.bases += len(fresh)
        if self._oracles:
            self.pending.extend(fresh)

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
        key = (finding.rule, finding.kind, finding.aspect)
        found = self.tally.found.get(key)
        if found is None:
            finding = finding.on(self.target.name)
            found = Found(
                finding,
                known=known(finding.signature) or "",
                first_execution=self.tally.executions,
                first_seconds=round(time.monotonic() - self._started, 3),
            )
            self.tally.found[key] = found
        found.count += 1
        if found.count == 1 or len(data) < len(found.smallest):
            found.smallest, found.finding = data, finding.on(self.target.name)
        if found.count == 1:
            self._on_new(found)
        return found

    def apart(self, data: bytes, run: Callable[[bytes], Remote], then: Callable[[], None] = lambda: None) -> None:
        """One input whose run and judgement happen in another process: count it, and reward what it showed.

        ``then`` is called after what it showed was stored. Whatever fails on the way is a defect of ours, as it is in process.
        """
        tally = self.tally
        tally.executions = executions = tally.executions + 1
        try:
            self._remote(data, run(data))
            then()
        except Exception as failure:
            self._on_defect(failure, data)
        if self._sampler is not None and not executions & self._between_samples:
            self._sampler.take()
        if executions >= self._next_tick:
            self._tick()

    def _remote(self, data: bytes, remote: Remote) -> None:
        outcome, error, findings, features = remote
        self.tally.isolated += 1
        place = error.find(": ") + 2
        key = error[place : place + KEY_LENGTH] if outcome == REJECT else outcome
        self.tally.stages[ACCEPTED if outcome == ACCEPT else key] += 1
        self._hit((outcome, key))
        for finding in findings:
            self.latest = self.report(data, finding)
        for feature in features:
            self._hit(feature)

    def _tick(self) -> None:
        """About every 50 ms of clock time, however quick the target is; a slow one ticks on each execution."""
        now = time.monotonic()
        rate = (self.tally.executions - self._ticked_at) / max(now - self._last_tick, 1e-6)
        if self._sampler is not None and not self._runs:
            cpu = time.thread_time()
            self._sampler.every = spacing((self.tally.executions - self._ticked_at) / max(cpu - self._cpu, 1e-6))
            self._between_samples, self._cpu = self._sampler.every - 1, cpu
        self._last_tick, self._ticked_at = now, self.tally.executions
        self._next_tick = self._ticked_at + max(1, min(int(rate * 0.05), 20_000))
        if self._runs:
            self._next_tick = min(self._next_tick, self._runs)
        self._on_tick()
