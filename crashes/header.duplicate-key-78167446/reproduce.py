"""header.duplicate-key-78167446: a key that stands twice in __metadata__ is accepted, and the last value wins

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

import sys

sys.path[0] += "/.."
from _kit import file, refused, stored
from safetensors import safe_open

FILE = file(b'{"__metadata__":{"":"","":""}}')
path = stored(FILE)
with refused():
    safe_open(path, framework="numpy")
