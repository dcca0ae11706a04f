"""Our own judge as a target: it is Python that reads hostile files, so it is fuzzed like the parser."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from harness.observation import ACCEPT, NOT_READ, RAISE, REJECT, Observation, Reading, Run, describe
from harness.programs import scripts
from harness.programs.scripts import Script
from harness.targets.base import Target


class Model(Target):
    """The judge must answer on every input: never raise, never hang, never blow up."""

    name = "model"
    description = "the independent judge of the format itself"
    max_len = 8192
    uses_parser = False

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run inputs in this process."""
        # Imported here and not above: the worker imports the model anew under atheris' instrumentation first.
        from harness.format import judge

        verdict_of = judge.judge

        def run(data: bytes) -> Observation:
            try:
                judgement = verdict_of(data)
            except Exception as error:  # the judge's contract is to raise nothing at all
                return RAISE, describe(error), error
            return (ACCEPT, "", judgement) if judgement.verdict == "accept" else (REJECT, judgement.rule, judgement)

        return run

    def reading(self, value: Any) -> Reading:
        """The neutral form of an accepted run."""
        return Reading(tensors=[], metadata=NOT_READ)

    def script(self, data: bytes) -> Script:
        """A file, and the answer of the judge."""
        setup = "\n".join(["from harness.format.judge import judge\n", *scripts.read_file(data)])
        return Script(setup, (scripts.Call("judge", "judge(FILE)"),))
