"""Runs pip, cargo and the compiler on a parser's source."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from harness import paths
from harness.errors import HarnessError
from harness.parsers import sources
from harness.parsers.flavours import OWN_CRATES, WRAPPER, Recipe
from harness.parsers.toolchain import Compiler

Progress = Callable[[str], None]

# Variables of the caller's shell that would change the build or its place.
_DROPPED = (
    "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "LD_PRELOAD",
    "MATURIN_PEP517_ARGS", "PIP_NO_BINARY", "PIP_ONLY_BINARY", "PIP_PREFIX", "PIP_REQUIRE_HASHES", "PIP_TARGET",
    "PIP_USER", "PYTHONHOME", "PYTHONPATH", "RUSTC_BOOTSTRAP", "RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER", "RUSTFLAGS",
)  # fmt: skip


def environment() -> dict[str, str]:
    """The environment for pip: the caller's without _DROPPED, with our own tools first on PATH."""
    kept = {key: value for key, value in os.environ.items() if key not in _DROPPED}
    # maturin is a program beside this interpreter, whether or not its environment was activated.
    kept["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), kept.get("PATH", os.defpath)])
    return kept | {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def install_wheel(release: str, site: Path, progress: Progress, log: Path) -> bool:
    """Install the published wheel of ``release`` into ``site``; False when there is none for this interpreter.

    Raises HarnessError for an unknown release, and when the index cannot be reached.
    """
    progress(f"fetching the wheel of release {release}")
    command = _pip("install", "--no-deps", "--only-binary", sources.PACKAGE, "--target", str(site))
    if run([*command, f"{sources.PACKAGE}=={release}"], environment(), log, progress) == 0:
        return True
    if release not in sources.released(environment()):
        raise sources.missing(release, environment(), log)
    progress(f"release {release} has no wheel for this Python: building it without instrumentation")
    return False


def compile_project(
    project: Path, site: Path, target: Path, *, work: Path, remap: str, recipe: Recipe, compiler: Compiler, progress: Progress, log: Path
) -> None:  # fmt: skip
    """Compile the ``project`` with pyproject.toml into ``site``. Raises HarnessError with the compiler's error.

    ``target`` is cargo's folder, ``work`` a folder for files, ``remap`` the ``FROM=TO`` of recorded source paths.
    """
    variables = cargo_variables(
        target, work=work, remap=[remap], recipe=recipe, compiler=compiler, own_crates=OWN_CRATES
    )
    if any(character.isspace() for character in remap):
        raise HarnessError(f"the path of this project has white space: {project}", hint="use another folder")
    command = _pip("install", "-v", "--no-deps", "--no-cache-dir", "--target", str(site))
    if _backend_is_here(project):
        command.append("--no-build-isolation")
    progress("compiling (half a minute when nothing is cached)")
    try:
        status = run([*command, str(project)], variables, log, progress)
    finally:
        forget_own_crates(target)
    if status != 0:
        raise HarnessError(
            f"the parser did not compile:\n{errors_in(log.read_text(errors='replace'))}",
            hint=f"nothing that was built before has changed; the whole log: {log}",
        )


def cargo_folder(recipe: Recipe, compiler: Compiler) -> Path:
    """Cargo's folder. Builds with equal flags share all crates but the parser's own, which are compiled each time."""
    flags = repr((recipe.every, recipe.environment, compiler)).encode()
    return paths.build_dir() / "cache" / "target" / hashlib.sha256(flags).hexdigest()[:16]


def cargo_variables(
    target: Path, *, work: Path, remap: Iterable[str], recipe: Recipe, compiler: Compiler, own_crates: Iterable[str]
) -> dict[str, str]:
    """The environment in which cargo compiles by a ``recipe`` into ``target``; the arguments are those of :func:`compile_project`.

    ``own_crates`` are the names of the crates that get the recipe's own flags.
    """
    own = [*recipe.own, *(f"--remap-path-prefix={pair}" for pair in remap)]
    if recipe.fixed_hash_keys:
        own.append(f"-Clink-arg={_fixed_getrandom(work)}")
    wrapper = work / "rustc-wrapper"
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    return (
        environment()
        | dict(recipe.environment)
        | {
            # With an explicit target cargo keeps build scripts, which run here and now, free of RUSTFLAGS.
            "CARGO_BUILD_TARGET": compiler.host,
            "CARGO_TARGET_DIR": str(target),
            "CARGO_TERM_COLOR": "never",
            "HARNESS_OWN_CRATES": " ".join(own_crates),
            "HARNESS_OWN_FLAGS": " ".join(own),
            "RUSTC_WRAPPER": str(wrapper),
            "RUSTFLAGS": " ".join(recipe.every),
        }
    )


def _fixed_getrandom(folder: Path) -> Path:
    """Compile getrandom.c into ``folder``."""
    return _compile_c("getrandom.c", folder / "getrandom.o", "-O1", "-c")


def compile_novelty(out: Path) -> None:
    """Compile novelty.c into the library ``out``. Raises HarnessError."""
    _compile_c("novelty.c", out, "-O3", "-shared")


def _compile_c(name: str, out: Path, *options: str) -> Path:
    """Compile a file of this folder, by the C compiler that rustc links with."""
    source = Path(__file__).with_name(name)
    command = [os.environ.get("CC", "cc"), *options, "-fPIC", str(source), "-o", str(out)]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        hint = "rustc links with it: apt-get install gcc"
        raise HarnessError(f"the C compiler does not work: {said}", hint=hint) from error
    return out


def forget_own_crates(target: Path) -> None:
    """Remove cargo's output of the parser's own crates, so that the next build compiles them again."""
    for path in sorted(target.rglob("*safetensors*"), reverse=True):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def resolved_crates(tree: Path) -> dict[str, str]:
    """Names and versions of all crates that the build resolved to, from :func:`lock_of`."""
    lock = lock_of(tree)
    versions: dict[str, str] = {}
    for name, version in _locked(lock) if lock is not None else ():
        versions[name] = f"{versions[name]}, {version}" if name in versions else version
    return versions


def lock_of(tree: Path) -> Path | None:
    """The Cargo.lock beside the bindings; None before cargo has made it."""
    locks = sorted(tree.rglob("Cargo.lock"))
    return next((lock for lock in locks if any(name == "safetensors-python" for name, _ in _locked(lock))), None)


def _locked(lock: Path) -> list[tuple[str, str]]:
    return [(str(p["name"]), str(p["version"])) for p in tomllib.loads(lock.read_text()).get("package", [])]


def errors_in(log: str, limit: int = 40) -> str:
    """The compiler's errors in a build log, at most ``limit`` lines; the end of a log without errors."""
    lines = [line.rstrip() for line in log.splitlines()]
    found: list[str] = []
    inside = False
    for line in lines:
        stripped = line.strip()
        if re.match(r"error(\[E\d+\])?: ", stripped):
            inside = not stripped.startswith(
                ("error: subprocess-exited", "error: failed-", "error: metadata-", "error: could not compile")
            )
        elif not stripped:
            inside = False
        if inside and len(found) < limit:
            found.append(line)
    return "\n".join(found or lines[-limit // 2 :])


def _pip(*arguments: str) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise HarnessError("this Python has no pip", hint=f"{sys.executable} -m ensurepip")
    return [sys.executable, "-m", "pip", *arguments]


def _backend_is_here(project: Path) -> bool:
    """Whether the build backend of the project is installed here; pip would fetch it each time otherwise."""
    try:
        needs = tomllib.loads((project / "pyproject.toml").read_text())["build-system"]["requires"]
    except (OSError, ValueError, KeyError):
        return False
    names = (re.split(r"[^A-Za-z0-9_-]", need, maxsplit=1)[0].replace("-", "_") for need in needs)
    return all(importlib.util.find_spec(name) is not None for name in names)


def run(command: list[str], variables: Mapping[str, str], log: Path, progress: Progress) -> int:
    """Run to the end with output to ``log`` and compiled crates to ``progress``; the exit status."""
    compiled = 0
    with (
        log.open("w") as handle,
        subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True,
        ) as child,
    ):  # fmt: skip
        try:
            for line in child.stdout or ():
                handle.write(line)
                if match := re.match(r"\s*Compiling (\S+) v(\S+)", line):
                    compiled += 1
                    progress(f"compiling {match[1]} {match[2]} ({compiled})")
            return child.wait()
        except BaseException:
            # pip's own children (cargo, compilers) are in its session and would go on.
            os.killpg(child.pid, signal.SIGKILL)
            raise
