"""The code under test: builds of a release or a checkout, instrumented or plain.

``build`` makes them, ``registry`` finds them, ``runtime`` loads one into this process, ``toolchain`` knows the
compiler and its tools, ``probe`` proves that a fuzzing engine sees into one.
"""
