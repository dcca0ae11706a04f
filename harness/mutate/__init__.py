"""Structured mutation: operators on parsed inputs, a generator of valid files, and the schedule that picks."""

from __future__ import annotations

import importlib
import pkgutil

from harness.mutate import operators as _operators
from harness.mutate.generate import generate
from harness.mutate.mutator import Mutator
from harness.mutate.registry import OPERATORS, Operator, operator
from harness.mutate.rng import Rng
from harness.mutate.schedule import OperatorStats

__all__ = ["OPERATORS", "Mutator", "Operator", "OperatorStats", "Rng", "generate", "operator"]

# Every file in operators/ enters its functions into OPERATORS when it is imported.
for _module in sorted(_found.name for _found in pkgutil.iter_modules(_operators.__path__)):
    importlib.import_module(f"{_operators.__name__}.{_module}")
