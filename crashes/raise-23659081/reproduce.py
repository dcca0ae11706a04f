"""raise-23659081: get_slice by pread of no row of an F4 tensor ends in NotImplementedError with torch

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

# By hand.
import sys

sys.path[0] += "/.."
from _kit import file, raises, stored
import torch  # noqa: F401
from safetensors import safe_open

FILE = file(b'{"a":{"dtype":"F4","shape":[1,8],"data_offsets":[0,4]}}', bytes(4))
opened = safe_open(stored(FILE), "pt", backend="pread")
with raises('NotImplementedError', '_ not implemented for _'):
    opened.get_slice("a")[0:0]
