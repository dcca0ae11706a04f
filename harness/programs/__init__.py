"""Sequences of API calls as bytes, for mutation under atheris and for Hypothesis."""
