"""Sequences of API calls as data: one encoding in bytes, mutated under atheris, built and shrunk by Hypothesis."""
