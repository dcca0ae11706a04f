"""The public API within ambient states: settings of the process that no argument names.

Each program runs twice, with its states and without them. The oracle compares the calls one by one. Where a call differs and
several states are around it, the program runs again with fewer states, so that a finding names the smallest set.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from types import ModuleType

from harness.errors import HarnessError
from harness.observation import ACCEPT, PANIC, RAISE, REJECT, Event, Observation, Run, Trace, describe, observe
from harness.targets.ambient import oracle, script
from harness.targets.ambient.calls import Made, Runner
from harness.targets.ambient.expectation import Expected, wrong
from harness.targets.ambient.program import DTYPES, VOCABULARY, Program, decode
from harness.targets.ambient.states import STATES
from harness.targets.base import Language, ProgramTarget, absent

#: Programs without states whose answers are kept.
_KEPT = 512
# Repeats of a call that fails over a tensor of several.
_TRIES = 6


class Ambient(ProgramTarget):
    """Calls within ambient states."""

    name = "ambient"
    drives = (
        ("state", "deserialize serialize* TensorSpec TensorSpec.d* TensorSpec.shape numpy.*"),
        ("state", "safe_open safe_open.* _safe_open_handle PySafeSlice.* torch.load* torch.save* paddle.*"),
    )
    description = (
        "calls for numpy, torch and paddle within ambient states: modes of torch, locale, directory, byte order, ..."
    )
    memory_mb = 4096
    timeout_s = 30.0
    start_s = 300.0
    vocabulary = VOCABULARY
    oracles = (oracle.check,)
    language = Language(decode, script.explain, lambda program: None)
    extra = "torch"
    built_on = ("safe_open", "numpy", "torch", "torch_writers", "writers")

    def note(self) -> str:
        """The parts that cannot be driven without torch and paddle."""
        return "; ".join(
            f"{name} is not installed: no states and calls of {name}" for name in absent("torch", "paddle")
        )

    def needs_for(self, data: bytes) -> tuple[str, ...]:
        """Torch and paddle, where a call or a state is about them."""
        calls = decode(data).calls
        needed = {"torch" if call.framework == "pt" else call.framework for call in calls}
        needed |= {STATES[one].needs for call in calls for one in call.states}
        return tuple(name for name in ("torch", "paddle") if name in needed)

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run programs. Raises HarnessError where torch or paddle is there and does not work."""
        assert safetensors is not None
        try:
            return _Compared(Runner(safetensors)).run
        except Exception as error:
            words = f"safetensors cannot be used with this torch: {describe(error)}"
            raise HarnessError(words, hint="try: python -c 'import safetensors.torch'") from error

    def features(self, observation: Observation) -> Iterable[Hashable]:
        """Each state with the call in it, and each pair of states."""
        trace = observation[2]
        assert isinstance(trace, Trace)
        found: list[Hashable] = []
        for event in trace.events:
            call = event.value.call
            kinds = [STATES[number].kind for number in call.states]
            found += [(call.kind, call.route, STATES[number].words) for number in call.states]
            found += [(one, other) for one in kinds for other in kinds if one < other]
            if "byte order" in kinds:
                found += [(call.kind, call.route, dtype) for _, dtype, _, _ in trace.program.tensors]
        return found

    def call_names(self, data: bytes) -> list[str]:
        """The kinds of the calls of a program, in order."""
        return [call.kind for call in decode(data).calls]

    def seeds(self) -> dict[str, bytes]:
        """A program for each kind of state, with calls of one group; the groups take turns. One for each further value."""
        step, encode = VOCABULARY.step, VOCABULARY.encode
        # A wrong place in the file shows in the second tensor alone.
        two = [step("tensor", 1), step("tensor", 0, 1)]
        groups = {
            "reads": [
                step("load"),
                step("load_file"),
                step("open", 0, 1),
                step("get_tensor", 1),
                step("get_slice", 1),
                step("index", 1),
            ],
            "torch": [
                step("load", 1),
                step("load_file", 1),
                step("load_file", 1, 1),
                step("load_model"),
                step("get_tensors"),
                step("names"),
            ],
            "writes": [
                step("save"),
                step("save_file"),
                step("save", 1),
                step("save_file", 1),
                step("save_model"),
                step("save_shared"),
            ],
            "raw": [step("deserialize"), step("serialize"), step("serialize_file"), step("open_handle"), step("close")],
        }
        first = {state.kind: number for number, state in reversed([*enumerate(STATES)]) if state.needs != "paddle"}
        plans = {
            f"{kind.replace(' ', '-')}-{name}": [*two, step("enter", number), *calls]
            for (kind, number), (name, calls) in zip(first.items(), itertools.cycle(groups.items()), strict=False)
        }
        # Each branch on __debug__ is the library's own.
        plans |= {
            f"interpreter-{name}": [*two, step("enter", first["interpreter"]), *calls] for name, calls in groups.items()
        }
        # Further values of a kind: each with a reader and a writer, by bytes and by path.
        both = [*groups["writes"][:2], *groups["reads"][:2]]
        for number, state in enumerate(STATES):
            if state.kind != "environment" and state.needs != "paddle" and number != first[state.kind]:
                plans[f"{state.words}-both"] = [*two, step("enter", number), *both]
        reads = [step("load", 2), step("load_file", 2), step("load_file", 2, 1), step("open", 2), step("get_tensor")]
        writes = [step("save", 2), step("save_file", 2), step("save_file", 2, 0, 2)]
        numbers = {state.kind: number for number, state in enumerate(STATES) if state.needs == "paddle"}
        numbers |= {kind: first[kind] for kind in ("byte order", "directory", "thread", "gc", "warnings", "umask")}
        for (kind, number), calls in zip(numbers.items(), itertools.cycle((reads, writes)), strict=False):
            words = kind.removeprefix("paddle ").replace(" ", "-")
            plans[f"paddle-{words}"] = [step("tensor"), step("enter", number), *calls]
        # The branches for the other byte order depend on the dtype.
        whole = [step("open", 1), step("get_tensor"), step("get_slice", 0, 2), step("save", 1)]
        for number, dtype in enumerate(DTYPES):
            plans[f"byte-order-{dtype}"] = [step("tensor", number), step("enter", first["byte order"]), *whole]
        return {name: encode(steps) for name, steps in plans.items()}


class _Compared:
    """Runs programs with and without their states."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._plain: OrderedDict[Program, list[Made]] = OrderedDict()

    def run(self, data: bytes) -> Observation:
        program = self._runner.possible(decode(data))
        plain = self._without_states(program)
        made = self._runner.run(program)
        if any(one.changed for one in made):
            # An import within a call may change a setting once. A defect does so each time.
            again = self._runner.run(program)
            pairs = zip(made, again, strict=True)
            made = [one._replace(changed=tuple(set(one.changed) & set(two.changed))) for one, two in pairs]
        events = []
        for number, (right, one) in enumerate(zip(plain, made, strict=True)):
            words = wrong(program, right, one)
            outcome = REJECT if one.outcome == RAISE else one.outcome
            error = one.error if outcome in (PANIC, REJECT) else ""
            expected = Expected(right, self._culprit(program, number, words) if words else "")
            events.append(Event(one.call.kind, outcome, error, one, expected))
        return observe(Trace(program, events))

    def _without_states(self, program: Program) -> list[Made]:
        """The calls of the program without states. The answers of many programs are kept."""
        plain = program._replace(calls=tuple(call.plain for call in program.calls))
        if plain in self._plain:
            self._plain.move_to_end(plain)
            return self._plain[plain]
        if len(self._plain) >= _KEPT:
            self._plain.popitem(last=False)
        made = self._plain[plain] = self._runner.run(plain)
        return made

    def _culprit(self, program: Program, number: int, words: str) -> str:
        """The state that makes a call differ in these words alone, or the kinds of a smallest set of states that does.

        No state of the set can be left out. Without any of the states that were left out, the call differs in the same words.
        """
        every = list(dict.fromkeys(one for call in program.calls[: number + 1] for one in call.states))
        plain = self._without_states(program)[number]

        def differs(states: list[int]) -> bool:
            calls = tuple(call._replace(states=tuple(n for n in call.states if n in states)) for call in program.calls)
            some = program._replace(calls=calls)
            # The parser's order of tensors is random. A call that fails over one may fail over another the next time.
            tries = _TRIES if plain.outcome != ACCEPT and len(program.tensors) > 1 else 1
            return any(wrong(some, plain, self._runner.run(some)[number]) == words for _ in range(tries))

        for state in every:
            if len(every) == 1 or differs([state]):
                return STATES[state].words
        needed = every
        for state in every:
            fewer = [one for one in needed if one != state]
            if len(fewer) > 1 and differs(fewer):
                needed = fewer
        return " and ".join(sorted({STATES[state].kind for state in needed}))
