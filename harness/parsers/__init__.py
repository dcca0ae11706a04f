"""The code under test: builds of a release or a checkout, instrumented or plain.

``build`` makes them, ``registry`` finds them, ``runtime`` loads one into this process, ``toolchain`` finds the compiler and
its tools, ``probe`` shows that a fuzzing engine sees a parser's counters.
"""
