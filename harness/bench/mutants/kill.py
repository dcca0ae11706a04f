"""Decides by replay whether a mutant is killed, and by which target, oracle, rule and input."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from harness import corpus_store, paths
from harness.bench.mutants.killers import DIGITS, Killer
from harness.bench.mutants.mutant import Mutant
from harness.bench.mutants.reached import Reached
from harness.coverage import batches, changed
from harness.errors import EngineError, StartError
from harness.findings import crashes
from harness.parsers.registry import Parser
from harness.replay.replay import Judged, Replay, Replayer
from harness.targets.registry import get_target

#: Kinds of findings that an oracle is not needed for: a fuzzer that waits for crashes sees them.
CRASHES = frozenset({"panic", "crash", "hang", "memory"})
#: Kinds that a busy machine may show by itself.
_UNSTEADY = frozenset({"time", "memory", "hang"})
#: Patience beyond that of a run in a campaign: two mutants are judged at the same time as two are compiled.
_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Kill:
    """The first finding that the healthy parser does not show on the same input. ``input`` is the SHA-1 of the input.

    ``masked``: the healthy parser shows the same signature on another input, so a campaign would take it for known.
    """

    target: str
    oracle: str
    kind: str
    rule: str
    signature: str
    input: str
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """``kill`` is None for a survivor. ``failed`` counts the inputs on which the harness itself failed.

    ``reached`` counts the targets whose inputs run the place of the mutant.
    """

    kill: Kill | None
    failed: int
    reached: int


@dataclass(slots=True)
class Inputs:
    """The committed corpus, the targets' own seeds and the inputs of filed findings, by target, and the signatures of the healthy parser on each."""

    by_target: dict[str, list[bytes]]
    signatures: dict[str, dict[bytes, frozenset[str]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def committed(cls) -> Inputs:
        """Those of every target that can run here, and its own seeds."""
        filed: dict[str, list[bytes]] = defaultdict(list)
        for crash in crashes.crashes():
            filed[crash.target].append(crash.data())
        found = {}
        for name in changed.drivable():
            seeds = dict(corpus_store.list_seeds(paths.corpus_dir() / name).seeds)
            seeds |= {corpus_store.sha1(data): data for data in get_target(name).seeds().values()}
            found[name] = [*seeds.values(), *filed[name]]
        return cls({name: inputs for name, inputs in found.items() if inputs})

    @property
    def key(self) -> str:
        """A hash of all inputs."""
        digest = hashlib.sha256()
        for name, inputs in sorted(self.by_target.items()):
            digest.update(name.encode())
            for data in inputs:
                digest.update(hashlib.sha256(data).digest())
        return digest.hexdigest()[:16]

    def judge_healthy(self, parser: Parser, say: Callable[[str], None]) -> None:
        """Note the signatures that ``parser`` shows in two replays of each kind, and how long a replay takes."""
        over = threading.Event()
        with ThreadPoolExecutor(batches.cores()) as pool:
            try:
                # The list raises what a thread raised.
                list(pool.map(lambda name: self._judge_target(parser, name, say, over), self.by_target))
            finally:
                over.set()

    def _judge_target(self, parser: Parser, name: str, say: Callable[[str], None], over: threading.Event) -> None:
        inputs = self.by_target[name]
        shown: dict[bytes, set[str]] = defaultdict(set)
        began = time.monotonic()
        for relations in (False, False, *((True, True) if _has_relations(name) else ())):
            with Replayer(parser, name, relations=relations, forks=_forks(name)) as replayer:
                for data in inputs:
                    if over.is_set():
                        return
                    shown[data].update(_run(replayer, data).signatures)
            self.seconds.setdefault(name, time.monotonic() - began)
        self.signatures[name] = {data: frozenset(found) for data, found in shown.items()}
        count = len(self.known(name))
        say(f"  {name}: {len(inputs)} inputs, {count} signatures, {self.seconds[name]:.1f} s")

    def known(self, target: str) -> frozenset[str]:
        """All signatures that the healthy parser shows on a target."""
        return frozenset().union(*self.signatures[target].values())


class Judge:
    """Judges mutants, from several threads. Targets and inputs that killed others of the same place come first."""

    def __init__(
        self,
        inputs: Inputs,
        healthy: Parser,
        reached: Reached | None = None,
        killers: Mapping[str, Killer] | None = None,
    ) -> None:
        """``reached`` leaves out inputs that do not run the place of a mutant. ``killers``, by id of a mutant, come first."""
        #: The inputs that it replays.
        self.inputs = inputs
        self._reached = reached
        self._known = killers or {}
        self._by_name = {
            Killer(target, corpus_store.sha1(data)[:DIGITS]): data
            for target, rows in inputs.by_target.items()
            for data in rows
        }
        self._healthy = healthy
        self._lock = threading.Lock()
        self._kills: dict[str, Counter[str]] = defaultdict(Counter)
        self._killers: dict[tuple[str, str], dict[bytes, None]] = defaultdict(dict)
        #: Set it to end all that runs.
        self.stop = threading.Event()

    def verdict(self, mutant: Mutant, parser: Parser, kinds: frozenset[str] | None = None) -> Verdict:
        """Replay on ``parser``, which has the mutant, until a finding shows that the healthy parser does not show there.

        With ``kinds`` other kinds of findings are overlooked. Raises KeyboardInterrupt once :attr:`stop` is set.
        """
        failed = 0
        inputs = self._inputs(mutant)
        for target, relations, replayed in self._rounds(mutant, inputs):
            try:
                kill, failures = self._on_target(mutant, parser, target, replayed, kinds, relations=relations)
                failed += failures
            except StartError as error:
                # A busy machine may be too slow to start a process.
                if self._starts(parser, target) or not self._starts(self._healthy, target):
                    failed += 1
                    continue
                words = str(error).strip().splitlines()[-1][:200]
                kill = Kill(target, "start", "start", "it does not load", words, "")
            if kill is not None:
                return Verdict(kill, failed, len(inputs))
            if self.stop.is_set():
                raise KeyboardInterrupt
        return Verdict(None, failed, len(inputs))

    def _rounds(self, mutant: Mutant, inputs: Mapping[str, list[bytes]]) -> Iterator[tuple[str, bool, list[bytes]]]:
        """Target, whether the costly oracles are asked, and the inputs to replay."""
        for name in self._order(mutant, inputs):
            yield name, False, inputs[name]
        # Only survivors come so far. The runs of these oracles are not measured, so the function counts.
        costly = self._inputs(mutant, function=True)
        for name in self._order(mutant, costly):
            if _has_relations(name):
                yield name, True, costly[name]

    def _on_target(
        self,
        mutant: Mutant,
        parser: Parser,
        target: str,
        inputs: list[bytes],
        kinds: frozenset[str] | None,
        *,
        relations: bool,
    ) -> tuple[Kill | None, int]:
        """The first kill by one of ``inputs`` of ``target``, and how many inputs the harness failed on before."""
        with self._lock:
            killers = [*self._last_killer(mutant, target), *self._killers[target, mutant.file]]
        failed, chosen = 0, set(inputs)
        with Replayer(parser, target, relations=relations, forks=_forks(target)) as replayer:
            for data in dict.fromkeys([*(data for data in killers if data in chosen), *inputs]):
                if self.stop.is_set():
                    break
                replayed = _attempt(replayer, data)
                if replayed is None:
                    failed += 1
                    continue
                for judged in replayed.findings:
                    overlooked = kinds is not None and judged.finding.kind not in kinds
                    if not overlooked and self._is_new(judged, target, data) and self._holds(judged, replayer, data):
                        self._note(mutant, target, data)
                        return self._kill(judged, target, data), failed
        return None, failed

    def _last_killer(self, mutant: Mutant, target: str) -> list[bytes]:
        """The input of ``target`` that killed the mutant in the last measurement, if there is one."""
        known = self._known.get(mutant.id)
        if known is None or known.target != target or (data := self._by_name.get(known)) is None:
            return []
        return [data]

    def _is_new(self, judged: Judged, target: str, data: bytes) -> bool:
        return judged.signature not in self.inputs.signatures[target][data]

    def _kill(self, judged: Judged, target: str, data: bytes) -> Kill:
        finding, masked = judged.finding, judged.signature in self.inputs.known(target)
        name = corpus_store.sha1(data)
        return Kill(target, finding.oracle, finding.kind, finding.rule.name, judged.signature, name, masked)

    def _inputs(self, mutant: Mutant, *, function: bool = False) -> dict[str, list[bytes]]:
        """The inputs, by target, that run the place of a mutant; all of each target that runs its file where nothing tells."""
        every = self.inputs.by_target
        ran = self._reached.inputs(mutant, function=function) if self._reached is not None else None
        if ran is None:
            return {
                name: every[name] for name in changed.choose([mutant.file], changed.measured(), list(every)).targets
            }
        return {
            name: [data for data, runs in zip(every[name], flags, strict=True) if runs] for name, flags in ran.items()
        }

    def _order(self, mutant: Mutant, reached: Iterable[str]) -> list[str]:
        last = known.target if (known := self._known.get(mutant.id)) else None
        with self._lock:
            place, file = self._kills[f"{mutant.file} {mutant.function}"], self._kills[mutant.file]
            return sorted(
                reached, key=lambda name: (name != last, -place[name], -file[name], self.inputs.seconds[name])
            )

    def _holds(self, judged: Judged, replayer: Replayer, data: bytes) -> bool:
        """Whether the finding shows again, and for a kind that load may cause: not on the healthy parser."""
        second = _attempt(replayer, data)
        if second is None or judged.signature not in second.signatures:
            return False
        if judged.finding.kind not in _UNSTEADY:
            return True
        target = replayer.target.name
        with Replayer(self._healthy, target, relations=_has_relations(target)) as healthy:
            return judged.signature not in _run(healthy, data).signatures

    def _starts(self, parser: Parser, target: str) -> bool:
        try:
            with Replayer(parser, target, relations=False) as replayer:
                replayer.run(self.inputs.by_target[target][0])
        except StartError:
            return False
        except EngineError:
            pass
        return True

    def _note(self, mutant: Mutant, target: str, data: bytes) -> None:
        with self._lock:
            for place in (mutant.file, f"{mutant.file} {mutant.function}"):
                self._kills[place][target] += 1
            self._killers[target, mutant.file][data] = None


def _has_relations(target: str) -> bool:
    """Whether the costly oracles judge its inputs: they are files."""
    return get_target(target).judged


def _forks(target: str) -> bool:
    return get_target(target).runs_in_fork_server


def _attempt(replayer: Replayer, data: bytes) -> Replay | None:
    """A run, or None where the harness fails on it."""
    try:
        return _run(replayer, data)
    except StartError:
        raise
    except EngineError:
        return None


def _run(replayer: Replayer, data: bytes) -> Replay:
    return replayer.run(data, _PATIENCE * replayer.target.timeout_s)
