from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.parsers import compilation
from harness.parsers.flavours import OWN_CRATES, RECIPES, WRAPPER

LOG = """
  Compiling safetensors v0.8.0
warning: unused variable: `x`
 --> src/lib.rs:1:1

  error[E0425]: cannot find value `nothing` in this scope
   --> safetensors/src/tensor.rs:4:5
    |
  4 |     nothing
    |     ^^^^^^^ not found in this scope

error: could not compile `safetensors` (lib) due to 1 previous error
  error: subprocess-exited-with-error
  hint: see above
error: failed-wheel-build-for-install
"""


def test_the_compilers_error_is_found_in_the_log() -> None:
    shown = compilation.errors_in(LOG).splitlines()
    assert shown[0] == "  error[E0425]: cannot find value `nothing` in this scope"
    assert shown[-1] == "    |     ^^^^^^^ not found in this scope"
    assert len(shown) == 5


def test_a_log_without_an_error_shows_its_end() -> None:
    shown = compilation.errors_in("\n".join(map(str, range(100))), limit=40)
    assert shown.splitlines() == [str(n) for n in range(80, 100)]


def test_a_flood_of_errors_is_cut() -> None:
    assert len(compilation.errors_in("error: bad\n" * 500, limit=40).splitlines()) == 40


def test_settings_of_the_shell_do_not_reach_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTC_WRAPPER", "PIP_TARGET", "PYTHONPATH", "LD_PRELOAD"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PIP_INDEX_URL", "kept")
    passed = compilation.environment()
    assert {name for name, value in passed.items() if value == "x"} == set()
    assert passed["PIP_INDEX_URL"] == "kept"


@pytest.mark.parametrize(
    ("crate", "instrumented"),
    [
        ("safetensors", True),
        ("safetensors_rust", True),
        ("serde_json", False),
        ("build_script_build", False),
        ("safetensors_other", False),
        ("pyo3", False),
        ("___", False),
    ],
)
def test_the_wrapper_adds_flags_to_the_parsers_own_crates_only(tmp_path: Path, crate: str, instrumented: bool) -> None:
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    variables = {**os.environ, "HARNESS_OWN_CRATES": " ".join(OWN_CRATES), "HARNESS_OWN_FLAGS": "-Cone -Ctwo"}
    # `echo` stands where the compiler does and shows what it would be given; a path with a space must stay one word.
    command = [str(wrapper), "echo", "--crate-name", crate, "--edition=2021", "a  b"]
    answer = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    assert answer == f"--crate-name {crate} --edition=2021 a  b" + (" -Cone -Ctwo" if instrumented else "") + "\n"


def test_a_call_that_names_no_crate_passes_unchanged(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    variables = {**os.environ, "HARNESS_OWN_CRATES": " ".join(OWN_CRATES), "HARNESS_OWN_FLAGS": "-Cone"}
    answer = subprocess.run([str(wrapper), "echo", "-vV"], env=variables, capture_output=True, text=True, check=True)
    assert answer.stdout == "-vV\n"


def test_resolved_crates_come_from_the_lock_of_the_bindings(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    package = '[[package]]\nname = "{}"\nversion = "{}"\n'
    (tmp_path / "a/Cargo.lock").write_text(package.format("other", "1.0.0"))
    mine = [("safetensors-python", "0.8.0"), ("hashbrown", "0.15.5"), ("hashbrown", "0.16.1")]
    (tmp_path / "b/Cargo.lock").write_text("".join(package.format(*crate) for crate in mine))
    assert compilation.resolved_crates(tmp_path) == {"safetensors-python": "0.8.0", "hashbrown": "0.15.5, 0.16.1"}


def test_every_instrumented_flavour_keeps_names_and_stays_out_of_link_time_optimisation() -> None:
    for flavour in ("sancov", "address", "coverage"):
        assert dict(RECIPES[flavour].environment)["CARGO_PROFILE_RELEASE_LTO"] == "off"
    assert RECIPES["wheel"] == type(RECIPES["wheel"])(own=(), every=())
    for flavour in ("sancov", "address"):
        assert {"-Coverflow-checks", "-Cdebug-assertions"} <= set(RECIPES[flavour].own)
