"""One fuzzing process: atheris with native counters, trace-compares, Python counters, the mutator and semantic counters.

A campaign starts it as ``python -m harness.engine.worker.main SETTINGS.json``. atheris ends by ``_exit``, so results are
written during the run. The process ends with status 0 after its time or its executions. It ends with status 3 where the
start-up check finds a part that is not live.
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
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from harness import corpus_store
from harness.engine.worker import arguments, inner, memory, recording, species
from harness.engine.worker.checks import ParserWatch, check_log, check_native
from harness.engine.worker.fork_router import ForkRouter
from harness.engine.worker.libfuzzer_log import LibFuzzerLog
from harness.engine.worker.native import NativeCounters
from harness.engine.worker.opening import collect_seldom, is_open, load, mark_open, open_target
from harness.engine.worker.own_mutator import mutator_of
from harness.engine.worker.semantics import SIZE, SemanticCounters
from harness.engine.worker.session import Session
from harness.engine.worker.settings import WorkerSettings
from harness.engine.worker.slot import Slot
from harness.engine.worker.species import Sampler
from harness.engine.worker.status import FILE, MOMENTS, Moment, WorkerStatus
from harness.engine.worker.tally import Found
from harness.engine.worker.usage import cpu_seconds, median, process_start, resident_mb
from harness.errors import EngineError, HarnessError
from harness.files import write_atomic
from harness.findings import store
from harness.observation import describe
from harness.parsers import registry, runtime
from harness.processes import end_with_parent
from harness.programs import chance
from harness.targets.registry import get_target

_STATUS_EVERY = 0.5
# Seconds between two writes of smaller inputs for known signatures.
_SMALLER_EVERY = 5.0
_SKIPPED_SAMPLE = 1024
# Most seconds that a slice may take beyond its time to get past its seeds.
_GRACE_S = 40.0


class Worker:
    """Wires one session to atheris and to the campaign's folder."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.started = time.monotonic()
        self._status_at = self._stored_at = 0.0
        self._stop = False
        self._checked = False
        self._first_defect = ""
        self._fuzzing_since = self._fuzzing_from = 0.0
        self._log = LibFuzzerLog(settings.log)
        self._moments: deque[Moment] = deque(maxlen=MOMENTS)
        self._ready_seconds = 0.0
        self._recorder: recording.Recorder | None = None
        self._resident: list[tuple[float, int]] = []

    def run(self) -> NoReturn:
        """Fuzz until time, executions or a signal end it; never returns."""
        settings = self.settings
        # SIGTERM is a request to finish cleanly. The command line switches libFuzzer's own handlers for it off.
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
        self.fork_router = ForkRouter(settings, target, parser, slot)
        run = open_target(target, module, atheris)
        self.fork_router.opened(run)
        native = check_native(parser, target, run, module) if target.uses_parser else 0
        collect_seldom(by_count=bool(settings.runs))
        mark_open(settings.memory)
        native_counters = NativeCounters(target.instrumented(parser)) if target.uses_parser else None
        if native_counters is not None:
            chance.use(native_counters.view)
        self.watch = None if native_counters is None or target.judged else ParserWatch(native_counters)
        self.sampler = Sampler(native_counters, self.counters)
        self.session = Session(
            target,
            run,
            self.counters,
            slot,
            # Inputs in the fork server are judged there.
            oracles=settings.oracles and not self.fork_router.everything,
            judge=settings.judge,
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
        # Fuzz() replaces ``Mutate`` by a working function, so each call looks it up.
        self.mutator = mutator_of(settings, target, seeds, lambda data, size: atheris.Mutate(data, size))  # noqa: PLW0108
        words = arguments.arguments(settings, target, seeds)
        self._fuzzing_since, self._fuzzing_from = time.process_time(), time.monotonic()
        internal = runtime.internal_libfuzzer(parser)
        execute = self._callback()
        mutate = inner.wrap(
            self._hook(), execute, self.mutator, self.session.tally, target, parser, native_counters, self.counters, settings
        )  # fmt: skip
        atheris.Setup(words, execute, custom_mutator=mutate, internal_libfuzzer=internal)
        atheris.Fuzz()
        self.finish()

    def _hook(self) -> Callable[[bytes, int, int], bytes]:
        """The mutator for libFuzzer: ours, or a replay."""
        settings = self.settings
        if settings.mutator == "replay" and settings.record is not None:
            recorded = itertools.cycle(recording.read(settings.record))
            return lambda _data, _size, _seed: next(recorded)
        return self._mutate

    def _callback(self) -> Callable[[bytes], None]:
        """The session's ``execute`` within recorder, fork server and guards, where this run needs them."""
        guards = [[word.encode("latin-1") for word in json.loads(words)] for words in self.settings.guards]
        execute: Callable[[bytes], None] = self.session.executor(self.mutator)
        if not self.settings.oracles and self.settings.mutator == "replay":
            execute = self.session.bare
        if self.settings.record is not None and self.settings.mutator != "replay":
            self._recorder = recording.Recorder(self.settings.record, execute, skip=self.settings.runs - recording.MOST)
            execute = self._recorder
        execute = self.fork_router.wrap(self.session, execute)
        if self.watch is not None:
            execute = self.watch.wrap(execute)

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
        """Count an input that is known to kill. A sample of them is left for the replay pool."""
        if self.session.over:
            return
        tally = self.session.tally
        if tally.guarded % _SKIPPED_SAMPLE == 0:
            (self.settings.memory / memory.SKIPPED).write_bytes(data)
        tally.guarded += 1

    def _mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Mutate for atheris. An error in here is counted and stored as a defect of the harness."""
        session, mutator = self.session, self.mutator
        tally = session.tally
        try:
            if not mutator.ready:
                session.at_once = False
                if session.requeued:
                    session.at_once = mutator.expect_valid = True
                    return session.requeued.pop()
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
        """Work between two batches of mutations: judging in full, and slow oracles on new corpus members."""
        session, mutator = self.session, self.mutator
        if session.over:
            self.finish()
        if not self._checked:
            self._prove_alive()
        if self.watch is not None and not self.watch.reached:
            tally = session.tally
            if error := self.watch.error(self.target, tally.executions, seeds=tally.seeds):
                _fail(self.settings, error)
        if mutator.fresh:
            session.members(mutator.fresh)
            mutator.fresh.clear()
        if session.due():
            session.judge_batch()
        if session.pending and session.tally.executions >= session.next_look:
            session.run_slow_oracles()

    def _defect(self, error: Exception, data: bytes) -> None:
        """Count an error of mutator or oracle, a defect of the harness. The first one is stored with its input."""
        self.session.tally.defects += 1
        if self.session.tally.defects > 1:
            return
        self._first_defect = describe(error)
        log = self.settings.log
        try:
            write_atomic(log.with_name(f"{log.stem}-defect.txt"), "".join(traceback.format_exception(error)))
            write_atomic(log.with_name(f"{log.stem}-defect-input"), data)
        except OSError as full:
            _disk_failed(self.settings, full, data)

    def _prove_alive(self) -> None:
        """Check at the first mutation, after the seeds, that libFuzzer's log shows every part and gained edges."""
        self._checked = True
        self._ready_seconds = round(time.time() - process_start(), 3)
        self._write_status()  # the curve of discovery begins with the edges of the seeds
        seeds = self.session.tally.seeds
        semantic = SIZE if self.settings.semantics else 0
        problem = check_log(self.settings.log, native=self.target.uses_parser, semantic=semantic, seeds=seeds)
        rewarded = self.settings.semantics and self.settings.oracles and seeds
        if not problem and rewarded and not self.counters.index:
            problem = "no semantic feature was gained on the seeds"
            if self._first_defect:
                problem += f": the target's own code failed on them: {self._first_defect}"
        if problem:
            _fail(self.settings, EngineError(problem, hint="run `harness doctor`"))

    def _ask_to_stop(self, *_: object) -> None:
        self._stop = True
        if not is_open(self.settings.memory):
            # Nothing can be lost yet, and loading a framework may take long.
            os._exit(0)

    def _tick(self) -> None:
        now = time.monotonic()
        runs, seconds = self.settings.runs, self.settings.seconds
        over = now - self.started - seconds
        # A slice that ends before the seeds have run is useless, so it gets a little longer.
        done = (seconds and over >= 0 and (self._checked or over >= min(2 * seconds, _GRACE_S))) or (
            runs and self.session.tally.executions >= runs
        )
        if done or self._stop:
            self._end()
        if now - self._status_at >= _STATUS_EVERY:
            self._write_status()

    def _end(self) -> None:
        """Finish, but within the seeds wait for the first mutation: only then does libFuzzer log the edges of the seeds."""
        if self._checked or self.settings.mutator == "replay":
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
        """Write the status for the supervisor, and smaller inputs of stored findings."""
        now = self._status_at = time.monotonic()
        self._sample_memory(round(now - self.started, 1), final=final)
        if final or now - self._stored_at >= _SMALLER_EVERY:
            self._stored_at = now
            for found in self.session.tally.found.values():
                if len(found.smallest) < found.stored:
                    self._store(found)
        tally, semantic, engine = self.session.tally, len(self.counters.index), self._log.read()
        edges, spent = max(engine.covered - semantic, 0), round(cpu_seconds() + self.fork_router.cpu_seconds(), 3)
        if self._checked:
            self._moments.append(
                Moment(
                    round(now, 2),
                    spent,
                    tally.executions,
                    edges,
                    engine.features,
                    semantic,
                    engine.corpus,
                    len(tally.found),
                )
            )
        status = WorkerStatus(
            **tally.figures(),
            operators={name: stats._asdict() for name, stats in self.mutator.stats().items()},
            median_size=median(tally.sizes),
            edges=edges,
            features=engine.features,
            semantic_features=semantic,
            corpus=engine.corpus,
            edges_at_start=self.native,
            seconds=round(now - self.started, 3),
            cpu_seconds=spent,
            fuzzing_seconds=round(now - self._fuzzing_from, 3),
            fuzzing_cpu_seconds=round(time.process_time() - self._fuzzing_since, 3),
            since_exec=round(time.time() - process_start(), 3),
            ready_seconds=self._ready_seconds,
            mutating=self._checked,
            rss_mb=self._resident[-1][1],
            rss_history=self._resident,
            moments=list(self._moments),
            semantic_keys=[str(key) for key in self.counters.index] if final else [],
        )
        try:
            self.sampler.write(self.settings.memory / species.FILE)
            write_atomic(self.settings.memory / FILE, status.to_json(), durable=False)
        except OSError as error:
            _disk_failed(self.settings, error)

    def _sample_memory(self, at: float, *, final: bool) -> None:
        """Note the resident memory. Points get sparser, so that a run of any length has about 30."""
        if not self._resident or at >= 1.2 * self._resident[-1][0] or final:
            self._resident.append((at, resident_mb()))
        else:
            self._resident[-1] = (self._resident[-1][0], max(self._resident[-1][1], resident_mb()))

    def finish(self) -> NoReturn:
        """Judge the last batch, write the last status, and end the process as atheris would."""
        self.session.judge_batch()
        self._write_status(final=True)
        if self._recorder is not None:
            self._recorder.close()
        sys.stdout.flush()
        os._exit(0)


def _fail(settings: WorkerSettings, error: HarnessError) -> NoReturn:
    """End the worker. The supervisor reads the error from a file, or where memory is full tells it from the exit status."""
    failure = {"problem": str(error), "hint": error.hint}
    with contextlib.suppress(OSError):
        write_atomic(settings.memory / memory.FAILURE, json.dumps(failure))
    os._exit(error.exit_status)


def _disk_failed(settings: WorkerSettings, error: OSError, data: bytes = b"") -> NoReturn:
    """End the worker for a full disk. ``data`` joins the corpus in memory, where the next campaign finds it."""
    place = error.filename or f"in {settings.campaign} or in memory, {settings.memory.parent}"
    if data:
        with contextlib.suppress(OSError):
            corpus_store.add(settings.memory / "corpus", data)
    _fail(settings, HarnessError(f"cannot write {place}: {error.strerror}", hint=memory.TAKEN_OVER))


def main() -> NoReturn:
    """Entry point of the worker process."""
    os.environ.setdefault("RUST_BACKTRACE", "0")
    settings = WorkerSettings.load(Path(sys.argv[1]))
    if not end_with_parent(memory.owner(settings.memory), signal.SIGTERM):
        sys.exit(0)
    try:
        memory.working(settings.memory)
        Worker(settings).run()
    except HarnessError as error:
        _fail(settings, error)
    except OSError as error:
        _disk_failed(settings, error)


if __name__ == "__main__":
    main()
