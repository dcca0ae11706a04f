"""promises.name-41606588: TensorSpec is not found by its module and name

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""
# By hand.

import pickle
import sys

sys.path[0] += "/.."
import _kit  # noqa: F401
import safetensors

cls = safetensors.TensorSpec
try:
    found = pickle.loads(pickle.dumps(cls))
except pickle.PicklingError as error:
    found = error  # attribute lookup on builtins failed
assert found is cls
