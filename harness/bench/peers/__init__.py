"""``harness bench peers``: other ways to fuzz the same parser, and ours with one part off, in equal CPU time.

All fuzz the build of ``harness bench range`` with its planted bugs on, from an empty corpus, on one core. The parser itself
counts the bugs that each fuzzer reaches and triggers. A bug is detected by what the fuzzer itself can tell.
"""
