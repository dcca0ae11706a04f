"""lifecycle.open-33462402: safe_open of a path through a file raises FileNotFoundError, not NotADirectoryError

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

import sys

sys.path[0] += "/.."
from _kit import raises, stored
from safetensors import safe_open

with raises('FileNotFoundError', right='NotADirectoryError'):
    safe_open(stored(b"") + "/x", framework='numpy')
