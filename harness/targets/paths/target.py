"""Files as they are: every kind of file, path, mode and owner, and another process that acts in the middle of a call."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Hashable, Iterable
from pathlib import Path
from types import ModuleType

from harness.observation import Event, Observation, Run, Trace, attempt, observe
from harness.programs import progress
from harness.targets import scratch
from harness.targets.base import ProgramTarget, absent
from harness.targets.paths import oracle, other_process, tracer
from harness.targets.paths.acts import job
from harness.targets.paths.arguments import Argument, argument, fair
from harness.targets.paths.calls import Calls
from harness.targets.paths.facts import Facts
from harness.targets.paths.program import ACTS, FILES, NAMES, SAME_PATH, SPELLINGS, VOCABULARY, Scene, decode, explain
from harness.targets.paths.world import Plain, World, as_user, enterable, plain_read, plain_write, remove, why_no_nodes


class Paths(ProgramTarget):
    """Readers and writers, each call in a fresh folder of our own."""

    name = "paths"
    drives = (
        ("file", "safe_open safe_open.get_tensor* _safe_open_handle serialize_file numpy.*_file"),
        ("file", "torch.*_file torch.*_model paddle.*_file"),
        ("state", "numpy.save_file serialize_file"),
    )
    description = "readers and writers on every kind of file, path and mode, while another process acts, by programs"
    memory_mb = 2048
    timeout_s = 20.0
    start_s = 300.0
    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    extra = "torch"
    #: Opening, closed handles and modes of files are theirs.
    built_on = ("lifecycle", "writers")
    runs_in_fork_server = True

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs, in a folder in memory of this process."""
        assert safetensors is not None
        return _Runner(safetensors).run

    def note(self) -> str:
        """The parts that cannot be driven here, as a sentence."""
        lacks = []
        if reason := other_process.refusal():
            lacks.append(f"no process acts in the middle of a call (ptrace: {reason})")
        elif not tracer.injects():
            lacks.append("no system call is made to fail")
        if os.geteuid():
            lacks.append("without root, all files have one owner")
        folder = tempfile.mkdtemp(dir=scratch.place())
        if not enterable(Path(folder)):
            lacks.append("no user without root's rights may enter the folder of temporary files")
        if reason := why_no_nodes(folder):
            lacks.append(f"device nodes of our own do not work ({reason})")
        shutil.rmtree(folder)
        lacks += [f"{name} is not installed" for name in absent("torch", "paddle")]
        return "; ".join(lacks)

    def needs_for(self, data: bytes) -> tuple[str, ...]:
        """Torch and paddle, where a call is theirs."""
        used = {scene.framework for scene in decode(data)}
        return tuple(name for name, word in (("torch", "pt"), ("paddle", "paddle")) if word in used)

    def missing(self, data: bytes | None = None) -> str:
        """Why the target, or the program ``data``, cannot run here: root alone makes files of another owner."""
        reason = super().missing(data)
        if not reason and data is not None and os.geteuid() and any(scene.owner != 1 for scene in decode(data)):
            reason = "root's rights are missing"
        return reason

    def hazard(self, data: bytes) -> str:
        """The first call under which a mapped file is cut."""
        return next(filter(None, (scene.hazard for scene in decode(data))), "")

    def unforeseen(self, data: bytes, number: int, sign: str) -> bool:
        """Whether SIGBUS ended a call whose file nothing cut, or that does not map it."""
        scenes = decode(data)
        return sign == "SIGBUS" and not (0 < number <= len(scenes) and scenes[number - 1].hazard)

    def call_names(self, data: bytes) -> list[str]:
        """The calls of a program."""
        return [scene.call for scene in decode(data)]

    def explain(self, data: bytes) -> str:
        """The calls of a program in words."""
        return explain(decode(data))

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Which call on which kind of file ended how, under which act, at which system call."""
        trace = observation[2]
        if not isinstance(trace, Trace):
            return []
        found: list[Hashable] = []
        for event in trace.events:
            scene, facts = event.about.scene, event.about
            end = (event.outcome, event.error[:40])
            way = (event.call, scene.framework, scene.backend)
            found.append((way, scene.thing, end))
            found.append((event.call, scene.spelling, scene.name, event.outcome))
            found.append((event.call, scene.dropped, scene.mode, scene.owner, event.outcome))
            found.append((event.call, scene.dropped, scene.folder_mode, scene.folder_owner, event.outcome))
            if scene.act is not None:
                at = facts.calls[scene.act.point] if facts.acted else "never"
                found.append((way, scene.act.name, at, end))
        return found

    def seeds(self) -> dict[str, bytes]:
        """A program per kind of story."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        read = [step("open"), step("load_file", 1), step("handle")]
        plans = {
            "read": [*read, step("open", 1), step("handle", 1, 1)],
            "torch": [step("open", 2), step("load_file", 3), step("save_file", 1, 2)],
            "special": [step("thing", 12), step("open"), step("thing", 13), step("open"), step("thing", 17), step("open", 1)],
            "links": [step("thing", 6), *read, step("thing", 5), step("save_file", 0, 1)],
            "named": [step("name", 2), step("spelling", 1), *read, step("serialize_file", 0, 1)],
            "rights": [step("rights", 0, 1), step("user"), step("open"), step("folder"), step("save_file", 0, 1)],
            "replaced": [step("act", 0, 1, 1), step("open"), step("act", 1, 2), step("load_file"), step("act", 2), step("handle")],
            "model": [step("load_model"), step("load_model", 1), step("save_model", 0, 2), step("thing", 0, 4), step("load_model")],
            "model-links": [step("thing", 5, 2), step("load_model"), step("save_model", 0, 1), step("thing", 6), step("load_model", 1)],
            "model-replaced": [step("act", 0, 1, 4), step("load_model", 1), step("act", 12, 3), step("save_model", 0, 2)],
            "paddle": [step("open", 4), step("load_file", 4), step("load_file", 5), step("save_file", 2, 2)],
            "paddle-links": [step("thing", 5, 2), step("load_file", 4), step("save_file", 2, 1), step("thing", 6), step("open", 5)],
            "paddle-failed": [step("act", 0, 1, 1), step("load_file", 5), step("act", 12, 3), step("save_file", 2, 3)],
            "saved": [step("save_file", 0, 2), step("act", 0, 1, 1), step("save_file", 0, 3), step("act", 12, 3), step("save_file")],
        }  # fmt: skip
        # A disk that fails at each call of a writer: of small data, of large data, and of a large header.
        for fault in ("ENOSPC", "EIO"):
            for large, words in enumerate(("", " large data", " large header")):
                faults = [step("act", ACTS.index(fault), point) for point in range(1, 6)]
                plans[fault + words] = [one for act in faults for one in (act, step("save_file", 0, 0, large))]
        # Each name and each form of the argument once, three to a program.
        for kind, values in (("name", NAMES), ("spelling", SPELLINGS)):
            for first in range(0, len(values), 3):
                some = range(first, first + 3)
                plans[f"{kind} {first}"] = [
                    one for at in some for one in (step(kind, at), step("save_file"), step("load_file"))
                ]
        return {name: encode(steps) for name, steps in plans.items()}


#: The name of a temporary file of the writers, which chance makes.
_TEMPORARY = re.compile(r"\.tmp\w{6}")
#: An error of torch's own about the file that it opens by name: the system call in it is no other defect.
_OF_TORCH = re.compile(r"RuntimeError: (.*\bfile <.*)", re.DOTALL)


def _words(error: str) -> str:
    """An error's words without chance, and with those of torch as a quotation, whatever quotes the file's name has."""
    return _OF_TORCH.sub(_quoted, _TEMPORARY.sub(".tmp", error))


def _quoted(match: re.Match[str]) -> str:
    said = match[1].replace('"', "").replace("'", "")
    return f'RuntimeError: torch cannot map the file "{said}"'


class _Runner:
    """One process' folder and calls."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._calls = Calls(safetensors)
        self._documented = (safetensors.SafetensorError, OSError)
        self._folder = scratch.folder("paths")
        self._user_enters = enterable(self._folder)
        self._mark = progress.cell()

    def run(self, data: bytes) -> Observation:
        """Make the calls of a program, each in a folder of its own."""
        program = decode(data)
        # The width of the largest number, so that all paths have one length.
        root = os.path.join(self._folder, f"{os.getpid():07}")
        self._tidy(root)
        os.mkdir(root)
        os.chmod(root, 0o711)  # noqa: S103 - whatever the umask is
        here = os.open(".", os.O_RDONLY)
        # A pipe without a reader raises its error.
        before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        events = []
        try:
            for number, scene in enumerate(program):
                self._mark[0] = number + 1
                if self._calls.lacks(scene) or (scene.dropped and not self._user_enters):
                    continue
                event = self._scene(scene, root)
                os.fchdir(here)
                if event is not None:
                    events.append(event)
        finally:
            signal.signal(signal.SIGPIPE, before)
            os.fchdir(here)
            os.close(here)
            remove(root)
        return observe(Trace(program, events))

    def _tidy(self, root: str) -> None:
        """Remove the folders of processes that died in a run."""
        for name in os.listdir(self._folder):
            path = os.path.join(self._folder, name)
            if path == root or not os.path.exists(f"/proc/{int(name)}"):
                remove(path)

    # One call.

    def _scene(self, scene: Scene, root: str) -> Event | None:
        world = World(os.path.join(root, "1"), scene)
        twin = World(os.path.join(root, "2"), scene) if not scene.reads and scene.act is None else None
        given: Argument | None = None
        try:
            if not os.access(world.base, os.X_OK, effective_ids=True):
                return None  # without root, nothing sets up a scene there
            os.chdir(world.base)
            given = argument(scene, world)
            if given is None:
                return None
            if not scene.reads:
                for one in filter(None, (world, twin)):
                    one.hold_pipe()
            return self._made(scene, world, twin, given)
        finally:
            if given is not None and given.open is not None:
                given.open.close()
            world.remove()
            if twin is not None:
                twin.remove()

    def _made(self, scene: Scene, world: World, twin: World | None, given: Argument) -> Event | None:
        facts = Facts(scene, os.path.basename(world.path), before=world.look(), names=world.names())
        if twin is not None and scene.spelling in SAME_PATH:
            with as_user(scene.dropped):
                facts.plain = plain_write(twin.path, FILES[scene.given])
            facts.twin = twin.look()
        call, documented = self._calls.call(scene, given.value), (*self._documented, *fair(scene))
        try:
            traced = other_process.ours() if world.pipe or scene.act is not None else None
        except OSError:
            return None
        events: list[Event] = []

        def make() -> None:
            events.append(attempt(scene.call, call, documented, facts))

        with as_user(scene.dropped):
            facts.read_before = self._plain(scene, given)
            if traced is None:
                make()
            else:
                report = traced.during(job(scene, world), make)
                if "refused" in report:
                    return None
                facts.calls, facts.acted, facts.waited = tuple(report["calls"]), report["acted"], report["waited"]
            facts.read_after = self._plain(scene, given)
        facts.after, facts.names_after = world.look(), world.names()
        facts.piped = world.from_pipe()
        [event] = events
        event.error = _words(event.error.replace(world.root, ""))
        if isinstance(event.value, BaseException):
            event.value.__traceback__ = None
        return event

    @staticmethod
    def _plain(scene: Scene, given: Argument) -> Plain:
        """The file by the argument for a reader; by the descriptor where the argument is an open file."""
        if not scene.reads or given.plain is None:
            return Plain()
        return plain_read(given.plain)
