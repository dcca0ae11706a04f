"""How each kind of build is compiled: flags for the parser's own crates, and flags for all.

Only the parser's own crates are instrumented: counters of pyo3 and serde would drown theirs, and cost speed. Cargo has
no such switch, so a wrapper script stands before the compiler (``RUSTC_WRAPPER``) and adds the flags by crate name.
"""

from __future__ import annotations

import dataclasses

# The core crate, and the library of the Python bindings, as they are called in every release.
OWN_CRATES = ("safetensors", "safetensors_rust", "safetensors_python")

WRAPPER = """\
#!/bin/sh
# Cargo calls this in place of the compiler, with the compiler as first argument.
name=
previous=
for argument in "$@"; do
    if [ "$previous" = --crate-name ]; then name=$argument; fi
    previous=$argument
done
case " $HARNESS_OWN_CRATES " in
*" $name "*) exec "$@" $HARNESS_OWN_FLAGS ;;
*) exec "$@" ;;
esac
"""

_CHECKED = ("-Cdebug-assertions", "-Coverflow-checks")
_DEBUG = ("-Ccodegen-units=1", "-Cdebuginfo=1")
_SANCOV = (
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cforce-frame-pointers",
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Flags of one flavour."""

    own: tuple[str, ...]
    """For the parser's own crates."""
    every: tuple[str, ...]
    """For every crate of the target (build scripts stay plain)."""
    environment: tuple[tuple[str, str], ...] = ()
    fixed_hash_keys: bool = False
    """Whether hash maps have the same keys in every process (getrandom.c), so that a run of the fuzzer repeats."""


# A profile of the manifest could ask for link-time optimisation, which loses the instrumentation, or strip names.
_PLAIN_PROFILE = (("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_STRIP", "none"))

RECIPES = {
    "sancov": Recipe(own=(*_SANCOV, *_DEBUG, *_CHECKED), every=(), environment=_PLAIN_PROFILE, fixed_hash_keys=True),
    # Sanitizers are an unstable option that a stable compiler carries; every crate must agree on them.
    "address": Recipe(
        own=(*_SANCOV, *_DEBUG, *_CHECKED),
        every=("-Zsanitizer=address",),
        environment=(*_PLAIN_PROFILE, ("RUSTC_BOOTSTRAP", "1")),
        fixed_hash_keys=True,
    ),
    "coverage": Recipe(own=("-Cinstrument-coverage", *_DEBUG), every=(), environment=_PLAIN_PROFILE),
    # What users run: the project's own profile, untouched.
    "wheel": Recipe(own=(), every=()),
}
