"""What a safetensors file is: dtypes, header, a strict judge with named rules, an encoder. Knows no library."""

from __future__ import annotations

from harness.format.dtypes import DTYPE_BITS
from harness.format.judge import Judgement, judge, quick
from harness.format.model import Header, Tensor
from harness.format.rules import ASPECTS, RULES, UNSPECIFIED

__all__ = ["ASPECTS", "DTYPE_BITS", "RULES", "UNSPECIFIED", "Header", "Judgement", "Tensor", "judge", "quick"]
