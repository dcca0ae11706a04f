"""``harness bench range``: 32 bugs in one build, and how many of them a campaign reaches, triggers and detects.

Each bug is switched on at run time by the variable HARNESS_RANGE, so that the same build shows a finding with one bug alone,
and with none.
"""
