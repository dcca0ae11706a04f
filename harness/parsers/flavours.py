"""Flags of each kind of build, for the parser's own crates and for all crates.

Only the parser's own crates are instrumented: counters of pyo3 and serde would outnumber theirs, and cost speed. Cargo has
no such switch, so a wrapper script (``RUSTC_WRAPPER``) adds the flags by crate name.
"""

from __future__ import annotations

import dataclasses

# The core crate, and the library of the Python bindings under its names in all releases.
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
SANCOV = (
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cforce-frame-pointers",
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Flags of one flavour for the parser's ``own`` crates, and for ``every`` crate but build scripts.

    ``fixed_hash_keys``: hash maps have the same keys in every process (getrandom.c), so that fuzzing is repeatable.
    """

    own: tuple[str, ...]
    every: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    fixed_hash_keys: bool = False


#: Link-time optimisation loses the instrumentation, and stripping loses names.
PLAIN_PROFILE = (("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_STRIP", "none"))

RECIPES = {
    "sancov": Recipe(own=(*SANCOV, *_DEBUG, *_CHECKED), every=(), environment=PLAIN_PROFILE, fixed_hash_keys=True),
    # RUSTC_BOOTSTRAP allows unstable options on a stable compiler. All crates need the same sanitizer.
    "address": Recipe(
        own=(*SANCOV, *_DEBUG, *_CHECKED),
        every=("-Zsanitizer=address",),
        environment=(*PLAIN_PROFILE, ("RUSTC_BOOTSTRAP", "1")),
        fixed_hash_keys=True,
    ),
    "coverage": Recipe(own=("-Cinstrument-coverage", *_DEBUG), every=(), environment=PLAIN_PROFILE),
    # The build of users: the project's own profile.
    "wheel": Recipe(own=(), every=()),
}
