"""metadata.strings-46835819: __metadata__ that is null is accepted, as if it were not there

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

import sys

sys.path[0] += "/.."
from _kit import file, refused, stored
from safetensors import safe_open

FILE = file(b'{"__metadata__":null}')
path = stored(FILE)
with refused():
    safe_open(path, framework="numpy")
