"""One fuzzing process: atheris with native counters, trace-compares, Python counters, the mutator and our counters.

Run by a campaign as ``python -m harness.engine.worker.main SETTINGS.json``. atheris ends by ``_exit``, so everything is
written as the run goes on; the process ends itself (status 0) when its time or its executions are used up, and with
status 3 where the start-up check finds a part that is not live.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from harness import corpus_store
from harness.engine.campaign.replay_pool import GUARDED
from harness.engine.worker import arguments, memory, recording, species
from harness.engine.worker.apart import Apart
from harness.engine.worker.checks import check_log, check_native
from harness.engine.worker.libfuzzer_log import Moments, Pulse
from harness.engine.worker.loading import load
from harness.engine.worker.native import NativeCounters
from harness.engine.worker.opening import collect_seldom, is_open, open_target, opened
from harness.engine.worker.own_mutator import OwnMutator
from harness.engine.worker.semantics import SIZE, SemanticCounters
from harness.engine.worker.session import Session
from harness.engine.worker.settings import WorkerSettings
from harness.engine.worker.slot import Slot
from harness.engine.worker.species import Sampler
from harness.engine.worker.tally import Found
from harness.engine.worker.usage import cpu_seconds, end_with_parent, median, process_start, resident_mb
from harness.errors import EngineError, HarnessError
from harness.files import write_atomic
from harness.findings import store
from harness.mutate import Mutator
from harness.parsers import registry, runtime
from harness.targets.registry import get_target

STATUS = "status.json"
_STATUS_EVERY = 0.5
# A smaller input of a known signature is worth a write to disk only now and then.
_SMALLER_EVERY = 5.0
_GUARDED_SAMPLE = 1024
# What a slice may take beyond its time to get past its seeds; the campaign's plan says what all of them may.
_GRACE_S = 15.0
_ENGINE_FAILED = 3


class Worker:
    """Wires one session to atheris and to the campaign's folder."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.started = time.monotonic()
        self._status_at = self._stored_at = 0.0
        self._stop = False
        self._checked = False
        self._fuzzing_since = self._fuzzing_from = 0.0
        self._pulse = Pulse(settings.log)
        self._moments = Moments()
        self._ready_seconds = 0.0
        self._recorder: recording.Recorder | None = None
        self._resident: list[tuple[float, int]] = []

    def run(self) -> NoReturn:
        """Fuzz until time, executions or a signal end it; never returns."""
        settings = self.settings
        # Termination is a request to finish cleanly; libFuzzer's own handlers for it are switched off below.
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        target = get_target(settings.target)
        self.target = target
        parser = registry.find(settings.parser)
        atheris, module = load(parser, target)
        self.atheris = atheris
        self.counters = SemanticCounters()
        if settings.semantics:
            self.counters.register()
        slot = Slot(settings.memory / "slot", max(target.max_len, corpus_store.MAX_SEED) + 4096)
        self.apart = Apart(settings, target, parser, slot)
        run = open_target(target, module, atheris)
        self.apart.opened(run)
        native = check_native(parser, target, run) if target.uses_parser else 0
        collect_seldom()
        opened(settings.memory)
        self.sampler = Sampler(NativeCounters(parser.module) if target.uses_parser else None, self.counters)
        self.session = Session(
            target,
            run,
            self.counters,
            slot,
            # Where every input runs in the child, it is judged there.
            oracles=settings.oracles and not self.apart.everything,
            semantics=settings.semantics,
            refused_sample=settings.refused_sample,
            runs=settings.runs,
            sampler=self.sampler,
            on_new=self._store,
            on_tick=self._tick,
            on_defect=self._defect,
        )
        self.native = native
        seeds = arguments.seeds(settings, target)
        self.session.tally.seeds = len(seeds)
        own = target.mutator()
        # A target whose inputs are no files brings the mutator that understands them.
        self.mutator = (
            OwnMutator(own)
            if own is not None
            else Mutator(
                [data for _, data in seeds],
                # atheris puts the working function in place of ``Mutate`` only when Fuzz() starts: looked up on each call.
                native=lambda data, size: atheris.Mutate(data, size),  # noqa: PLW0108
                disabled=frozenset(settings.disabled),
            )
        )
        words = arguments.arguments(settings, target, seeds)
        self._fuzzing_since, self._fuzzing_from = time.process_time(), time.monotonic()
        internal = runtime.internal_libfuzzer(parser)
        atheris.Setup(words, self._callback(), custom_mutator=self._hook(), internal_libfuzzer=internal)
        atheris.Fuzz()
        self.finish()

    def _hook(self) -> Callable[[bytes, int, int], bytes]:
        """The mutator that libFuzzer calls; the bench compares ours with libFuzzer's own and with none at all."""
        settings, atheris = self.settings, self.atheris
        if settings.mutator == "bytes":
            return lambda data, size, _seed: atheris.Mutate(data, size)
        if settings.mutator == "replay" and settings.record is not None:
            recorded = itertools.cycle(recording.read(settings.record))
            return lambda _data, _size, _seed: next(recorded)
        return self._mutate

    def _callback(self) -> Callable[[bytes], None]:
        """The session's ``execute``, with what this run needs around it and nothing more."""
        guards = [[word.encode("latin-1") for word in json.loads(words)] for words in self.settings.guards]
        execute: Callable[[bytes], None] = self.session.executor(self.mutator)
        if not self.settings.oracles and self.settings.mutator == "replay":
            execute = self.session.bare
        if self.settings.record is not None and self.settings.mutator != "replay":
            self._recorder = recording.Recorder(self.settings.record, execute, skip=self.settings.runs - recording.MOST)
            execute = self._recorder
        execute = self.apart.wrap(self.session, execute)

        def guarded(data: bytes) -> None:
            for words in guards:
                for word in words:
                    if word not in data:
                        break
                else:
                    self._skip(data)
                    return
            execute(data)

        return guarded if guards else execute

    def _skip(self, data: bytes) -> None:
        """An input that is known to kill: counted, and now and then left for the supervisor's isolated child."""
        if self.session.over:
            return
        tally = self.session.tally
        if tally.guarded % _GUARDED_SAMPLE == 0:
            (self.settings.memory / GUARDED).write_bytes(data)
        tally.guarded += 1

    def _mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Atheris' mutator hook. A defect in here is ours: counted and stored as such, never the parser's."""
        session, mutator = self.session, self.mutator
        tally = session.tally
        try:
            if not mutator.ready:
                session.at_once = False
                if session.again:
                    session.at_once = mutator.expect_valid = True
                    return session.again.pop()
                self._between()
            if tally.executions & 255:
                return mutator(data, max_size, seed)
            start = time.thread_time_ns()
            made = mutator(data, max_size, seed)
            tally.mutate_ns += time.thread_time_ns() - start
            tally.mutate_timed += 1
            return made
        except Exception as error:
            mutator.expect_valid = False
            self._defect(error, data)
            made = self.atheris.Mutate(data, max_size)
            return bytes(made)

    def _between(self) -> None:
        """What waits until a batch of mutations is used up: judging in full, and a look at new members."""
        session, mutator = self.session, self.mutator
        if session.over:
            self.finish()
        if not self._checked:
            self._prove_alive()
        if mutator.fresh:
            session.members(mutator.fresh)
            mutator.fresh.clear()
        if session.due():
            session.settle()
        if session.pending and session.tally.executions >= session.next_look:
            session.examine()

    def _defect(self, error: Exception, data: bytes) -> None:
        """Mutator or oracle raised: a defect of the harness. Counted; the first of a worker is kept with its input."""
        self.session.tally.defects += 1
        if self.session.tally.defects > 1:
            return
        log = self.settings.log
        try:
            write_atomic(log.with_name(f"{log.stem}-defect.txt"), "".join(traceback.format_exception(error)))
            write_atomic(log.with_name(f"{log.stem}-defect-input"), data)
        except OSError as full:
            _disk_failed(self.settings, full, data)

    def _prove_alive(self) -> None:
        """At the first mutation the seeds have run: the log must name both tables and hold gained edges."""
        self._checked = True
        self._ready_seconds = round(time.time() - process_start(), 3)
        self._write_status()  # the curve of discovery begins here, with what the seeds know
        seeds = self.session.tally.seeds
        semantic = SIZE if self.settings.semantics else 0
        problem = check_log(self.settings.log, native=self.target.uses_parser, semantic=semantic, seeds=seeds)
        rewarded = self.settings.semantics and self.settings.oracles and seeds
        if not problem and rewarded and not self.counters.index:
            problem = "no semantic feature was gained on the seeds"
        if problem:
            self._fail(problem)

    def _fail(self, problem: str) -> NoReturn:
        write_atomic(self.settings.memory / "failure.json", json.dumps({"problem": problem}))
        os._exit(_ENGINE_FAILED)

    def _ask_to_stop(self, *_: object) -> None:
        self._stop = True
        if not is_open(self.settings.memory):
            # It has nothing that could be lost, and loading a framework takes longer than anybody waits.
            os._exit(0)

    def _tick(self) -> None:
        now = time.monotonic()
        runs, seconds = self.settings.runs, self.settings.seconds
        over = now - self.started - seconds
        # A slice that ends before the seeds have run was for nothing: it gets a little longer.
        done = (seconds and over >= 0 and (self._checked or over >= min(2 * seconds, _GRACE_S))) or (
            runs and self.session.tally.executions >= runs
        )
        if done or self._stop:
            self._end()
        if now - self._status_at >= _STATUS_EVERY:
            self._write_status()

    def _end(self) -> None:
        """Finish; among the seeds, at the first mutation: libFuzzer has not said what they cover before."""
        if self._checked or self.settings.mutator != "grammar":
            self.finish()
        self.session.stop()

    def _store(self, found: Found) -> None:
        settings = self.settings
        try:
            store.add(
                settings.campaign,
                found.finding,
                found.smallest,
                parser=settings.parser or "",
                seed=settings.seed,
                execution=found.first_execution,
                seconds=found.first_seconds,
            )
        except OSError as error:
            _disk_failed(settings, error, found.smallest)
        found.stored = len(found.smallest)

    def _write_status(self, *, final: bool = False) -> None:
        """Status for the supervisor, and smaller inputs for findings already stored."""
        self._status_at = time.monotonic()
        # Ever sparser, so that a night's history stays short: about 30 points whatever the length.
        at = round(self._status_at - self.started, 1)
        if not self._resident or at >= 1.2 * self._resident[-1][0] or final:
            self._resident.append((at, resident_mb()))
        else:
            self._resident[-1] = (self._resident[-1][0], max(self._resident[-1][1], resident_mb()))
        if final or self._status_at - self._stored_at >= _SMALLER_EVERY:
            self._stored_at = self._status_at
            for found in self.session.tally.found.values():
                if len(found.smallest) < found.stored:
                    self._store(found)
        cpu = time.process_time() - self._fuzzing_since
        spent, engine, meaning = cpu_seconds(), self._pulse.read(), len(self.counters.index)
        if self._checked:
            tally = self.session.tally
            self._moments.add(self._status_at, spent, tally.executions, engine, meaning, len(tally.found))
        status = self.session.tally.summary() | {
            "target": self.settings.target,
            "seconds": round(self._status_at - self.started, 3),
            "cpu_seconds": spent,
            "fuzzing_cpu_seconds": round(cpu, 3),
            "fuzzing_seconds": round(self._status_at - self._fuzzing_from, 3),
            "executions_ns": round(1e9 * cpu / max(self.session.tally.executions, 1)),
            # Loading, opening and the seeds: 0 before the first mutation.
            "mutating": self._checked,
            "ready_seconds": self._ready_seconds,
            "since_exec": round(time.time() - process_start(), 3),
            "rss_mb": self._resident[-1][1],
            "rss_history": self._resident,
            "semantic_features": meaning,
            "engine": engine,
            "moments": self._moments.all(),
            "native_edges_at_start": self.native,
            "operators": {name: stats._asdict() for name, stats in self.mutator.stats().items()},
            "median_size": median(self.session.tally.sizes),
            "final": final,
        }
        if final:
            status["semantic_keys"] = [str(key) for key in self.counters.index]
        try:
            self.sampler.write(self.settings.memory / species.FILE)
            write_atomic(self.settings.memory / STATUS, json.dumps(status), durable=False)
        except OSError as error:
            _disk_failed(self.settings, error)

    def finish(self) -> NoReturn:
        """Judge and write what is left, and end the process as atheris would."""
        self.session.settle()
        self._write_status(final=True)
        if self._recorder is not None:
            self._recorder.close()
        sys.stdout.flush()
        os._exit(0)


def _disk_failed(settings: WorkerSettings, error: OSError, data: bytes = b"") -> NoReturn:
    """Neither the parser's fault nor ours. ``data`` joins the corpus in memory, where the next campaign finds it."""
    place = error.filename or f"in {settings.campaign} or in memory, {settings.memory.parent}"
    problem = f"cannot write {place}: {error.strerror}"
    failure = {"problem": problem, "hint": memory.TAKEN_OVER, "status": HarnessError.exit_status}
    # Where memory is full too, the exit status alone must do.
    with contextlib.suppress(OSError):
        write_atomic(settings.memory / "failure.json", json.dumps(failure))
        if data:
            corpus_store.add(settings.memory / "corpus", data)
    os._exit(HarnessError.exit_status)


def main() -> NoReturn:
    """Entry point of the worker process."""
    os.environ.setdefault("RUST_BACKTRACE", "0")
    settings = WorkerSettings.load(Path(sys.argv[1]))
    end_with_parent(memory.owner(settings.memory))
    try:
        memory.working(settings.memory)
        Worker(settings).run()
    except HarnessError as error:
        problem = {"problem": str(error), "hint": error.hint, "status": error.exit_status}
        write_atomic(settings.memory / "failure.json", json.dumps(problem))
        os._exit(error.exit_status if isinstance(error, EngineError) else 2)
    except OSError as error:
        _disk_failed(settings, error)


if __name__ == "__main__":
    main()
