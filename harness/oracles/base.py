"""What every oracle works with; see :mod:`harness.finding`."""

from harness.finding import KINDS, Finding, normalise

__all__ = ["KINDS", "Finding", "normalise"]
