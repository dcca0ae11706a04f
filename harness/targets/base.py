"""The base class of targets.

A target drives one entry point of the parser with one input. It opens once per process (:meth:`Target.open` gets the
loaded ``safetensors`` package) and hands back a function that runs one input. That function runs up to a hundred thousand
times a second, so :meth:`Target.open` prepares everything that can be prepared.

:mod:`harness.targets.registry` finds targets by folder, or by the entry-point group ``safetensors_harness.targets``.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, ClassVar, Self

from harness.findings.crashes import Crash
from harness.observation import NOT_READ, Observation, Reading, Run
from harness.oracles.oracle import Oracle
from harness.parsers.registry import Parser
from harness.programs.mutate import StepMutator
from harness.programs.scripts import Script
from harness.programs.steps import STEP, Vocabulary

#: The end of a process that aborted over an uncaught exception of C++, by its own message.
UNCAUGHT = "SIGABRT in C++"

#: Kinds of inputs: a file, a program of API calls, the path of a file. The independent judge reads files alone.
FILE, PROGRAM, PATH = "file", "program", "path"
INPUT_KINDS = (FILE, PROGRAM, PATH)


#: Called as ``mutate(data, max_size, seed)``: a mutation of ``data`` of at most ``max_size`` bytes.
Mutate = Callable[[bytes, int, int], bytes]


def absent(*modules: str) -> list[str]:
    """Those of the modules that are not installed."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def not_installed(*modules: str) -> str:
    """The clause "torch is not installed" for those of the modules that are not; "" when all are."""
    lacking = absent(*modules)
    return f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed" if lacking else ""


class Target(ABC):
    """One entry point under test. A subclass sets ``name`` and ``description``, and overrides what differs for it."""

    #: The name for users: its folder below harness/targets, or its file in a folder of several.
    name: ClassVar[str] = ""
    #: One clause for ``harness targets``: the calls that it drives.
    description: ClassVar[str] = ""

    #: One of INPUT_KINDS. The judge and the oracles of files look at files alone.
    input_kind: ClassVar[str] = FILE
    #: False for a target that does not run the parser (``model``).
    uses_parser: ClassVar[bool] = True
    #: False for a target that campaigns do not fuzz: commands run it by name.
    listed: ClassVar[bool] = True
    #: Oracles beside those that judge every target (:mod:`harness.replay.judge`).
    oracles: tuple[Oracle, ...] = ()

    #: Largest input worth trying, in bytes.
    max_len: int = 4096
    #: Resident memory that one worker may use, in MB.
    memory_mb: int = 512
    #: Seconds that one run may take.
    timeout_s: float = 10.0
    #: Seconds that opening it may take: a framework loads slowly.
    start_s: float = 120.0
    #: Bytes of one step where inputs are programs made of steps, else 0.
    unit: int = 0
    #: The language of its programs (:mod:`harness.programs.steps`), if it has one.
    vocabulary: Vocabulary | None = None
    #: Whether every input runs in a forked child under limits: some may kill the process.
    runs_in_fork_server: bool = False
    #: Whether several mutations run per execution of libFuzzer. No Python code of the parser may take part: its edges are libFuzzer's.
    inner_loop: ClassVar[bool] = False
    #: In campaigns, one input in about so many also runs in guarded memory (:mod:`harness.oracles.guard`); 0: none, ever.
    guarded_every: int = 0
    #: Kinds of builds of the parser that it runs on, in the order in which a finding is tried on them.
    flavours: tuple[str, ...] = ("sancov", "wheel", "address")

    #: Modules that it cannot run without, and the extra of this package that installs them ("": its name).
    needs: tuple[str, ...] = ()
    extra: str = ""
    #: The module of safetensors that it drives; releases without it cannot run the target. "": the package itself.
    module: str = ""

    #: Targets that it is built on: their known findings are known for it, too. ``calls`` are its own entry points.
    built_on: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    #: Calls of its own by the names that equal calls have in those targets.
    alike: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    #: Cells of the table of the public API in docs/targets.md: columns, and globs over its rows, each separated by blanks.
    drives: tuple[tuple[str, str], ...] = ()
    #: Other implementations that it drives, by name, each with the prefixes of the calls, rules and aspects that are its own.
    foreign: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @abstractmethod
    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run inputs in this process. Raises HarnessError where that cannot be done."""

    def instrumented(self, parser: Parser) -> Path:
        """The module of ``parser`` whose counters tell what a run reached. Raises HarnessError where there is none."""
        return parser.module

    def reading(self, value: Any) -> Reading:
        """The neutral form of an accepted run's value. A program has none: its oracles look at the trace."""
        return value if isinstance(value, Reading) else Reading(tensors=[], metadata=NOT_READ)

    def seeds(self) -> dict[str, bytes]:
        """Programs to start from, each by a word that says what it does. Empty for files."""
        return {}

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Features of a run beside edges. libFuzzer keeps an input with a new feature."""
        return ()

    def mutator(self) -> Mutate | None:
        """Its own mutator; None to use the one for files."""
        return None

    def explain(self, data: bytes) -> str:
        """A program in words, or as the Python it stands for; "" for files."""
        return ""

    def script(self, data: bytes) -> Script | None:
        """The input as Python (:mod:`harness.programs.scripts`); None where its reproducers ask the harness."""
        return None

    def reproducer(self, crash: Crash, data: bytes) -> str:
        """The code of a reproducer where the check of the rule does not fit, else ""."""
        return ""

    def rare_seeds(self) -> dict[str, bytes]:
        """Programs that take too long for a worker. They run once in a campaign, beside it."""
        return {}

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order. Empty where the target does not tell them."""
        return []

    def hazard(self, data: bytes) -> str:
        """The signal and call that may kill the process (``SIGBUS/get_tensor``), "" for most. Such inputs run in a child."""
        return ""

    def memory_state(self, data: bytes, call: str, files: tuple[bytes, bytes] | None) -> str:
        """The words of an aspect about a ``call`` that met memory of others; of a writer with two different ``files``."""
        return call

    def unforeseen(self, data: bytes, number: int, sign: str) -> bool:
        """Whether a program ended at call ``number`` (0: before any) with a signal that it foresees, but not there."""
        return False

    def note(self) -> str:
        """The part of the target that cannot be driven here, as a sentence, or ""."""
        return ""

    def needs_for(self, data: bytes) -> tuple[str, ...]:
        """Modules that the program ``data`` needs beside those of ``needs``."""
        return ()

    # -- derived ----------------------------------------------------------------------------------------------

    @property
    def judged(self) -> bool:
        """Whether the independent judge reads its inputs."""
        return self.input_kind == FILE and self.uses_parser

    @property
    def has_features(self) -> bool:
        """Whether its runs show features of their own: asking a target without any costs time in each run."""
        return type(self).features is not Target.features

    def foresees(self) -> Callable[[bytes], str] | None:
        """Its method ``hazard``; None where no input is foreseen to kill."""
        return self.hazard if type(self).hazard is not Target.hazard else None

    def missing(self, data: bytes | None = None) -> str:
        """Why it cannot run here (or not all of the program ``data``), as a clause ("torch is not installed"), or "".

        A module that is installed and does not work shows when the target opens.
        """
        needs = self.needs if data is None else (*self.needs, *self.needs_for(data))
        return not_installed(*needs)

    def install(self) -> str:
        """The command that installs its needs."""
        return f"pip install 'safetensors-harness[{self.extra or self.name}]'"

    def about_another(self, signature: str) -> str:
        """The other implementation that a finding of this signature is about; "" where it is about the parser."""
        words = signature.split("|")[2:]
        return next((name for name, own in self.foreign.items() if any(word.startswith(own) for word in words)), "")


@dataclass(frozen=True, slots=True)
class Language:
    """How a subject reads its programs, and writes them as Python: for people, and for a reproducer.

    ``reproducer`` gives the code for findings that the check of their rule does not fit, else "".
    """

    decode: Callable[[bytes], Any]
    explain: Callable[[Any], str]
    script: Callable[[Any], Script | None]
    reproducer: Callable[[Crash, Any], str] = lambda crash, program: ""

    @classmethod
    def about(cls, subject: object, decode: Callable[[bytes], Any], module: ModuleType) -> Self:
        """The language of several targets: each of the functions in ``module`` gets the ``subject`` of one target first."""
        return cls(decode, *(partial(getattr(module, name), subject) for name in ("explain", "script", "reproducer")))


class ProgramTarget(Target):
    """A target that drives the parser with programs of one ``vocabulary``."""

    input_kind = PROGRAM
    #: Its programs as Python; None where it overrides ``explain`` and ``script``, or has neither.
    language: Language | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        assert cls.vocabulary is not None, f"{cls.__name__} needs a vocabulary"
        cls.max_len = cls.vocabulary.max_len
        cls.unit = STEP

    def explain(self, data: bytes) -> str:
        """The Python that a program stands for."""
        return "" if self.language is None else self.language.explain(self.language.decode(data))

    def script(self, data: bytes) -> Script | None:
        """A program as Python, for a reproducer."""
        return None if self.language is None else self.language.script(self.language.decode(data))

    def reproducer(self, crash: Crash, data: bytes) -> str:
        """The code of a reproducer where the check of the rule does not fit, else ""."""
        return "" if self.language is None else self.language.reproducer(crash, self.language.decode(data))

    def mutator(self) -> Mutate:
        """A mutator of steps: one edit is one change of the calls."""
        assert self.vocabulary is not None
        return StepMutator(self.vocabulary)
