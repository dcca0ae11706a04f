"""numpy.get-slice-20363405: get_slice('a')[True] gives row 1, as [1] does; numpy adds a dimension

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

import sys

sys.path[0] += "/.."
from _kit import file, same, stored
import numpy
from safetensors import safe_open

FILE = file(b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}       ', b'\x01\x08\x0f\x16\x1d$+29@GNU\\cjqx\x7f\x86\x8d\x94\x9b\xa2')
path = stored(FILE)
opened = safe_open(path, framework="numpy")
assert same(opened.get_slice('a')[True], numpy.frombuffer(b'\x01\x08\x0f\x16\x1d$+29@GNU\\cjqx\x7f\x86\x8d\x94\x9b\xa2', 'float32').reshape([2, 3])[True])
