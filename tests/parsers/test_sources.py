from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.parsers import compilation, sources
from harness.parsers.sources import Checkout


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The layout of upstream's repository."""
    write(tmp_path / "bindings/python/pyproject.toml", "[project]\nname = 'safetensors'\n")
    write(tmp_path / "bindings/python/src/lib.rs", "// bindings")
    write(tmp_path / "safetensors/Cargo.toml", '[package]\nname = "safetensors"\n')
    write(tmp_path / "safetensors/src/lib.rs", "// crate")
    return tmp_path


def test_a_checkout_is_taken_by_its_root_or_its_bindings(repository: Path) -> None:
    expected = Checkout(repository, Path("bindings/python"))
    assert sources.locate(repository) == expected
    assert sources.locate(repository / "bindings/python") == expected


def test_an_unpacked_sdist_is_a_project_itself(checkout: Path) -> None:
    assert sources.locate(checkout) == Checkout(checkout, Path())


def test_an_old_release_states_its_name_in_setup_py(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[build-system]\nrequires = ['setuptools-rust']\n")
    write(tmp_path / "setup.py", 'setup(\n    name="safetensors",\n)\n')
    assert sources.locate(tmp_path) == Checkout(tmp_path, Path())


def test_another_project_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[project]\nname = 'tokenizers'\n")
    with pytest.raises(HarnessError, match="holds no Python project called safetensors"):
        sources.locate(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "file")
    with pytest.raises(HarnessError, match="is not a folder"):
        sources.locate(tmp_path / "file")
    with pytest.raises(HarnessError, match="does not exist"):
        sources.locate(tmp_path / "nothing")


def test_the_hash_follows_the_source_and_nothing_else(repository: Path) -> None:
    checkout = sources.locate(repository)
    before = sources.tree_hash(checkout)
    write(repository / "target/release/x", "output of cargo")
    write(repository / ".git/index", "a commit")
    write(repository / "bindings/python/py_src/safetensors/_safetensors_rust.abi3.so", "an editable build")
    write(repository / "bindings/python/safetensors.egg-info/PKG-INFO", "an old build")
    assert sources.tree_hash(checkout) == before
    write(repository / "safetensors/src/lib.rs", "// crate, changed")
    changed = sources.tree_hash(checkout)
    assert changed != before
    (repository / "safetensors/src/lib.rs").rename(repository / "safetensors/src/main.rs")
    assert sources.tree_hash(checkout) not in (before, changed)


def test_a_copy_has_the_same_hash(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy")
    sources.copy_tree(sources.locate(repository), copy)
    assert sources.tree_hash(sources.locate(copy)) == sources.tree_hash(sources.locate(repository))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00 damaged"])
def test_a_damaged_sdist_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(HarnessError, match=r"x\.tar\.gz cannot be unpacked"):
        sources.unpack(tmp_path / "x.tar.gz", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]


def test_a_release_that_does_not_exist_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"no release 0\.8\.99 of safetensors; near it: .*0\.8\.0") as caught:
        sources.download("0.8.99", tmp_path / "sdists", compilation.environment(), tmp_path / "log", print)
    assert "harness build --release 0." in caught.value.hint
    assert list((tmp_path / "sdists").iterdir()) == []


def test_an_index_out_of_reach_is_not_taken_for_a_missing_release(tmp_path: Path) -> None:
    alone = compilation.environment() | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    with pytest.raises(HarnessError, match="package index cannot be reached"):
        sources.download("0.8.0", tmp_path / "sdists", alone, tmp_path / "log", print)


def test_an_sdist_is_fetched_once(sdist: Path) -> None:
    alone = compilation.environment() | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(sdist.parent / "none")}
    assert sources.download("0.8.0", sdist.parent, alone, sdist.parent / "log", print) == sdist
