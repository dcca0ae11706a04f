"""memory-39138716: get_slice('a')[::2] of an F32 tensor of shape [4294967296, 0], in a file of 80 bytes, ...

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

import sys

sys.path[0] += "/.."
from _kit import ended, file, stored
from safetensors import safe_open

FILE = file(b'{"a":{"dtype":"F32","shape":[4294967296,0],"data_offsets":[0,0]}}       ')
path = stored(FILE)
opened = safe_open(path, framework="numpy")
assert ended(lambda: opened.get_slice('a')[slice(None, None, 2)], memory_mb=512) != 'memory'
