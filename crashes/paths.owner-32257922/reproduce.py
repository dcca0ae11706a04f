"""paths.owner-32257922: save_file by root makes root the owner of another user's file

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""

# By hand.
import os
import sys

sys.path[0] += "/.."
from _kit import CannotTell, stored
import numpy
import safetensors.numpy

TENSORS = {'a': numpy.arange(4, dtype='float32')}
if os.geteuid():
    raise CannotTell("root's rights are missing")
path = stored(b'the old file')
os.chown(path, 65534, 65534)
safetensors.numpy.save_file(TENSORS, path)
assert os.stat(path).st_uid == 65534
