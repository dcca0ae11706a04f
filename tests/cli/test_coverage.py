"""``harness coverage`` end to end, in a project folder of its own with the real builds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness import corpus_store, paths
from harness.cli.coverage import command
from harness.coverage import baseline
from harness.errors import HarnessError
from harness.parsers import build, registry, toolchain
from harness.report import html
from harness.targets.registry import not_installed
from tests.framing import framed

ROOT = Path(__file__).parents[2]


ONE = framed('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one seed and this repository's builds."""
    if registry.read(registry.default_name(registry.default_release(), "coverage")) is None:
        build.build(flavour="coverage", progress=lambda line: None)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "parsers").symlink_to(paths.parsers_dir())
    corpus_store.add(tmp_path / "corpus" / "deserialize", ONE)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    return tmp_path


def test_page_and_table(project):
    result = run()
    assert result.exit_code == 0
    assert "deserialize: 1 inputs replayed; " in result.output
    assert "safetensors/src/tensor.rs" in result.output
    assert result.output.splitlines()[-1] == f"page: {project}/build/coverage/index.html"
    assert {p.name for p in (project / "build" / "coverage").iterdir()} == {"index.html", "coverage.json", "lcov.info"}
    # The report leads from files and from lines that nothing reached into the line view.
    line_view = (project / "build" / "coverage" / "index.html").read_text()
    links = re.findall(r'href="build/coverage/index\.html#([^"]+)"', html.page([], project))
    assert any(link.startswith("bindings/python/src/lib.rs:") for link in links)
    assert [link for link in links if f'id="{link}"' not in line_view] == []
    assert [link for link in re.findall(r'href="#([^"]+)"', line_view) if f'id="{link}"' not in line_view] == []


def test_json_is_all_that_is_printed(project):
    (project / "corpus" / "deserialize" / "foreign").write_text("x")
    result = run("--json", "--html", project / "elsewhere", "--lcov", project / "my.info")
    data = json.loads(result.stdout)
    assert data["totals"]["rust"]["regions"]["covered"] > 100
    assert "skipped 1 foreign file" in result.stderr
    assert (project / "elsewhere" / "index.html").is_file()
    assert (project / "my.info").read_text().startswith("TN:\nSF:")


def test_a_campaign_s_corpus_is_replayed_too(project):
    corpus_store.add(project / "night" / "corpus" / "deserialize", b"junk")
    corpus_store.add(project / "night" / "corpus" / "safe_open", ONE)
    data = json.loads(run("--json", "--campaign", project / "night").stdout)
    assert {name: target["executed"] for name, target in data["targets"].items()} == {"deserialize": 2, "safe_open": 1}


def test_a_target_of_the_baseline_that_is_not_replayed_is_a_loss_where_it_can_run(project):
    wanted = baseline.read(ROOT / "corpus" / baseline.NAME)
    shutil.copy(ROOT / "corpus" / baseline.NAME, project / "corpus")
    result = CliRunner().invoke(command, ["--baseline", "--json"], standalone_mode=False)
    assert result.return_value == 1, result.output
    found = json.loads(result.stdout)
    idle = {line.split()[1] for line in found["lost"] if line.endswith("was not replayed")}
    absent = not_installed()
    assert idle == wanted["targets"].keys() - absent.keys() - {"deserialize"}
    assert [line for line in found["warnings"] if line.startswith("not replayed: ")] == [
        f"not replayed: {name}: {why}" for name, why in absent.items()
    ]


def test_a_build_of_an_earlier_compiler_is_read_by_its_own_tools(project, other_compiler):
    data = json.loads(run("--json").stdout)
    assert data["parser"] == "0.8.0-coverage"
    assert data["totals"]["rust"]["regions"]["covered"] > 100


@pytest.fixture
def foreign(project: Path) -> dict[str, Path]:
    """Coverage builds, one of a release and one of a checkout, by a compiler whose LLVM has no tools here."""
    real = registry.find(None, flavour="coverage")
    folder = project / "build" / "parsers"
    folder.unlink()
    (folder / ".builds").mkdir(parents=True)
    (folder / ".builds" / real.root.name).symlink_to(real.root)
    planted = {name: folder / f"{name}-coverage" for name in (real.version, "mine")}
    for place in planted.values():
        place.mkdir()
        (place / "site").symlink_to(real.site)
        compiler = {**real.manifest["compiler"], "llvm_major": 77, "release": "1.90.0"}
        (place / "manifest.json").write_text(json.dumps({**real.manifest, "compiler": compiler}))
    return planted


def test_a_build_that_nothing_here_reads_is_built_anew(project, foreign):
    name, place = next(iter(foreign.items()))
    place.rename(place.with_name(".before"))
    place.symlink_to(".before")
    result = run()
    assert f"{name}-coverage is of rustc 1.90.0 (LLVM 77), whose tools are not here: building it again" in result.output
    assert registry.find(name, flavour="coverage").compiler == toolchain.compiler()


def test_a_build_of_a_checkout_that_nothing_here_reads_is_named(project, foreign):
    with pytest.raises(HarnessError, match="mine-coverage cannot be measured: no llvm-profdata of LLVM 77") as caught:
        run("--parser", "mine")
    assert caught.value.hint == (
        "as root: apt-get install llvm-77; or build it by the present compiler: "
        "harness build --source DIR --coverage --name mine-coverage"
    )


def test_bad_uses_say_what_to_do(project):
    with pytest.raises(HarnessError, match="is no campaign"):
        run("--campaign", project / "missing")
    with pytest.raises(HarnessError, match="does not run the parser"):
        run("--target", "model")
    with pytest.raises(HarnessError, match="no target is called"):
        run("--target", "nonsense")
    with pytest.raises(HarnessError, match="no seeds to replay for safe_open"):
        run("--target", "safe_open")
    with pytest.raises(HarnessError, match="no seeds to replay for safe_open"):
        run("--target", "deserialize", "--target", "safe_open")
    with pytest.raises(HarnessError, match="no parser mine-coverage has been built"):
        run("--parser", "mine")
    with pytest.raises(HarnessError, match="cannot write"):
        run("--lcov", project / "missing" / "lcov.info")
