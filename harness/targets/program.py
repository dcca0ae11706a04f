"""What all targets share whose inputs are programs of API calls; see :mod:`harness.programs`."""

from __future__ import annotations

from typing import Any, ClassVar

from harness.observation import NOT_READ, Reading
from harness.programs.mutate import StepMutator
from harness.programs.steps import STEP, Vocabulary


class ProgramTarget:
    """A target that drives the parser with programs of one ``vocabulary``, and leaves their judgement to its oracles."""

    vocabulary: ClassVar[Vocabulary]
    max_len: int
    memory_mb: int = 512
    uses_parser = True
    judged = False
    unit = STEP

    def __init_subclass__(cls) -> None:
        cls.max_len = cls.vocabulary.max_len

    def __init__(self) -> None:
        self.mutate = StepMutator(self.vocabulary)

    def reading(self, value: Any) -> Reading:
        """Programs have no reading: their oracles look at the trace."""
        return Reading(tensors=[], metadata=NOT_READ)
