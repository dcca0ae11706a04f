"""raise-23659081: get_slice: an undocumented error: NotImplementedError: 'fill_cpu' not implemented for ...

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

import pathlib
import sys

sys.path[0] += "/.."
import _kit  # noqa: F401
from harness.parsers import registry
from harness.replay import replay

data = pathlib.Path(__file__).with_name('input.safetensors').read_bytes()
result = replay.once(registry.find(None, 'sancov'), 'torch_quantized', data)
print("what happens:", result.outcome, *[judged.summary for judged in result.findings])
print("what should: ", 'the file is read, or refused with SafetensorError')
assert 'torch_quantized|contract|raise|get_slice: NotImplementedError: _ not implemented for _' not in result.signatures
