"""leaks.objects-77649653: every run leaves 3.0 blocks behind: 623,872 before, 625,333 after 480 runs

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

import pathlib
import sys

sys.path[0] += "/.."
import _kit  # noqa: F401
from harness.parsers import registry
from harness.replay import replay

data = pathlib.Path(__file__).with_name('input.safetensors').read_bytes()
result = replay.once(registry.find(None, 'sancov'), 'sizes', data)
print("what happens:", result.outcome, *[judged.summary for judged in result.findings])
print("what should: ", 'each run gives back the descriptors, mappings and memory that it took')
assert 'sizes|memory|leaks.objects|blocks' not in result.signatures
