"""The hot loop: runs one input, judges it, and rewards new features. This code runs 60,000 times a second.

Judging has two tiers. Every execution is judged by its end (only documented errors) and by the parser's reason for a refusal.
Judged in full are accepted inputs, inputs that libFuzzer kept, and refusals of inputs that the mutator meant to be valid. Of the
other refusals a sample is judged in full: the first 64 of each reason, then one in ``refused_sample`` (default 128).

Judging in full waits for a batch of a few dozen inputs (:meth:`Session.judge_batch`). Between two executions the parser and
libFuzzer empty the caches, so judging inputs one by one takes three times as long. libFuzzer reads our counters after each
execution. So an input whose judgement has a new feature is requeued, and is judged at once when it runs again. The batch of a
worker that is killed is lost.
"""

from __future__ import annotations

import gc
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
from harness.replay.judge import guard_check, judge_run, own_check
from harness.targets.base import Target
from harness.targets.known_findings import known

_FIRST = 64


def _ignore(key: Hashable) -> None:
    """Stands for :meth:`SemanticCounters.hit` when the counters are switched off."""


def _kind(dtype: str, shape: Sequence[int]) -> Hashable:
    return dtype, min(len(shape), 6), 0 in shape


_TIMED_EVERY = 256
#: Executions between two collections of garbage where a run has a fixed number of them; a multiple of every spacing.
COLLECT_EVERY = 4096
_LOOK_EVERY = 1000
# Inputs in a batch: enough to warm the caches, and few enough to lose with a killed worker.
_BATCH = 24


class Intent(Protocol):
    """The mutator. ``expect_valid``: whether the current input was meant to be valid."""

    expect_valid: bool


class Session:
    """One target in one process, with its counters, its tally and its findings."""

    def __init__(
        self,
        target: Target,
        run: Run,
        counters: SemanticCounters,
        slot: Slot,
        *,
        oracles: bool = True,
        judge: bool = True,
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
        # Whether the independent judge reads this target's inputs. Other targets have oracles of their own only.
        self._oracles = oracles and judge and target.judged
        self._own = own_check(target) if oracles and judge else None
        self._guard = guard_check(target, run) if oracles and judge else None
        self._features_of = target.features if oracles and target.has_features else None
        self._contract = oracles
        self._counters = counters
        self._hit: Callable[[Hashable], None] = counters.hit if semantics else _ignore
        self._sample = refused_sample
        self._runs = runs
        self._sampler = sampler
        # Executions whose number has none of these bits are sampled. The spacing is a power of two; 0 samples each one.
        self._between_samples = (sampler.every if sampler is not None else MOST) - 1
        self._on_new = on_new
        self._on_tick = on_tick
        self._on_defect = on_defect
        self._next_tick = 1
        self._ticked_at = 0
        self._last_tick = self._started = time.monotonic()
        self._cpu = time.thread_time()
        self._waiting: list[tuple[bytes, Observation]] = []
        #: Whether inputs are judged as they run: true for the seeds and for requeued inputs.
        self.at_once = True
        #: Whether further inputs are ignored (:meth:`stop`).
        self.over = False
        #: Inputs that run a second time.
        self.requeued: list[bytes] = []
        self._awaited: set[Hashable] = set()
        #: The last finding of the fork server.
        self.latest: Found | None = None
        self._wrongly: dict[tuple[str, str], Found] = {}
        #: Corpus members that the slow oracles have not judged, and the execution from which the next one is due.
        self.pending: deque[bytes] = deque()
        self.next_look = 0

    def executor(self, intent: Intent) -> Callable[[bytes], None]:
        """The function that runs and judges one input, for atheris. A closure is faster than a method."""
        tally, run, put = self.tally, self._run, self._slot.put
        stages, index, table, hit = tally.stages, self._counters.index, self._counters.table, self._hit
        oracles, own, sample, waiting = self._oracles, self._own, self._sample, self._waiting
        guard = self._guard
        features_of, sampler, by_count = self._features_of, self._sampler, bool(self._runs)

        def look(data: bytes, observation: Observation) -> None:
            outcome = observation[0]
            if outcome is REJECT:
                error = observation[1]
                place = error.find(": ") + 2
                key = error[place : place + KEY_LENGTH]
                seen = stages[key] = stages[key] + 1
                # The parser's reason is a feature. For JSON errors it is the reader's own first words, without the names.
                reason = key if key != "invalid JSON" else error[place + 24 : place + 36]
                if reason in index:
                    table[index[reason]] = 1
                else:
                    hit(reason)
                if oracles and (intent.expect_valid or seen <= _FIRST or seen % sample == 0):
                    waiting.append((data, observation))
                    if self.at_once:
                        self.judge_batch()
            elif outcome is ACCEPT:
                stages[ACCEPTED] += 1
                if oracles:
                    self._accepted(data, observation)
            else:
                self._failed(data, observation)
            if own is not None:
                for finding in own(data, observation):
                    self.report(data, finding)
            if guard is not None:
                for finding in guard(data, observation):
                    self.report(data, finding)
            if features_of is not None:
                for feature in features_of(observation):
                    hit(feature)

        def timed(data: bytes) -> None:
            """Run and judge under the clock. Only a sample is timed, as reading the clock costs as much as a run."""
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
            put(data, executions)
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
                    if by_count and executions % COLLECT_EVERY == 0:
                        gc.collect()
            except Exception as error:  # the run catches errors of the parser: this one is the harness's
                self._on_defect(error, data)
            if executions >= self._next_tick:
                self._tick()

        return execute

    def stop(self) -> None:
        """Ignore further inputs: libFuzzer logs the edges of its seeds after the last of them."""
        # Each further execution counts as sampled, so that the hot loop has no check of its own.
        self.over, self._between_samples = True, 0

    def bare(self, data: bytes) -> None:
        """Run one input without judging it. The bench compares :meth:`executor` with it."""
        tally = self.tally
        tally.executions = executions = tally.executions + 1
        self._run(data)
        if executions >= self._next_tick:
            self._tick()

    # -- judging in full --------------------------------------------------------------------------------------

    def due(self) -> bool:
        """Whether a batch is full."""
        return len(self._waiting) >= _BATCH

    def judge_batch(self) -> None:
        """Judge in full the inputs since the last batch."""
        clock = time.thread_time_ns
        start = clock()
        for data, observation in self._waiting:
            try:
                if observation[0] is REJECT:
                    self._judge_refusal(data, observation[1])
                else:
                    self._judge_accepted(data, observation[2])
            except Exception as error:  # a defect of the judge or of an oracle
                self._on_defect(error, data)
        self._waiting.clear()
        if not self.at_once:
            self.tally.batch_ns += clock() - start

    def _judged(self, data: bytes, key: Hashable) -> None:
        """Reward the feature of a judgement: now, or where it is new by running ``data`` again."""
        if self.at_once:
            self._hit(key)
        elif key not in self._counters.index and key not in self._awaited:
            self._awaited.add(key)
            if not self.requeued or self.requeued[-1] is not data:
                self.requeued.append(data)

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
        """Reward the features of the reading, and put the input into the batch."""
        self._features(data, self._reading(observation[2]))
        self._waiting.append((data, observation))
        if self.at_once:
            self.judge_batch()

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
        # Only the judge's reading holds tensors that the parser could not read.
        for tensor in judgement.header.tensors[:8] if reading.partial and judgement.header else ():
            self._judged(data, _kind(tensor.dtype, tensor.shape))
        for finding in differential.accepted(data, judgement, reading):
            self.report(data, finding)

    def _accepted_wrongly(self, data: bytes, judgement: Judgement, value: Any) -> None:
        """Count a known finding without describing it again: one in ten executions shows one."""
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
        """Report an undocumented error or a panic. Tensors that were read before it are judged as accepted ones."""
        outcome, _, value = observation
        self.tally.stages[outcome] += 1
        if self._contract:
            for finding in contract.check(Execution(data, observation)):
                self.report(data, finding)
                self._hit((finding.rule.name, finding.aspect))
        if self._oracles and isinstance(value, Reading):
            self._accepted(data, observation)

    def members(self, fresh: list[bytes]) -> None:
        """Take inputs that the mutator saw for the first time. At mutate depth 1 they are new corpus members."""
        if self._oracles:
            self.pending.extend(fresh)

    def run_slow_oracles(self) -> None:
        """Judge the next corpus member by every oracle, the metamorphic one included.

        That takes the time of a hundred runs, so it happens once in a thousand executions. It happens between two executions,
        where libFuzzer reads no counters.
        """
        self.next_look = self.tally.executions + _LOOK_EVERY
        member = self.pending.popleft()
        for finding in judge_run(self.target, self._run, member):
            self.report(member, finding)

    def report(self, data: bytes, finding: Finding) -> Found:
        """Count a finding and keep its smallest input. A new signature is stored at once."""
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

    def run_forked(self, data: bytes, run: Callable[[bytes], Remote], then: Callable[[], None] = lambda: None) -> None:
        """Run one input by ``run`` in the fork server, count it, and reward its features.

        ``then`` is called after its findings were stored. Any error is a defect of the harness, as in :meth:`executor`.
        """
        tally = self.tally
        tally.executions = executions = tally.executions + 1
        self._slot.put(data, executions)
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
        self.tally.forked += 1
        place = error.find(": ") + 2
        key = error[place : place + KEY_LENGTH] if outcome == REJECT else outcome
        self.tally.stages[ACCEPTED if outcome == ACCEPT else key] += 1
        self._hit((outcome, key))
        for finding in findings:
            self.latest = self.report(data, finding)
        for feature in features:
            self._hit(feature)

    def _tick(self) -> None:
        """Runs about every 50 ms. For a slow target it runs on each execution."""
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
