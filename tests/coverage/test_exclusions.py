"""The list of what cannot be reached is held to what a real build does."""

from __future__ import annotations

import pytest

from harness.coverage import exclusions
from harness.coverage.counts import Region, RustFile
from harness.coverage.exclusions import Exclusion
from harness.coverage.rust_source import Source
from harness.errors import HarnessError


def rust_file(**counts: int) -> RustFile:
    """A file of one-line functions ``name`` that ran ``count`` times."""
    text = "".join(f"fn {name}() {{ 1 }}\n" for name in counts)
    regions = {Region(line, 1, line, 12): count for line, count in enumerate(counts.values(), 1)}
    return RustFile("crate/src/file.rs", Source(text.encode()), regions, {}, [])


def test_every_excluded_function_is_in_the_build_and_never_runs(broad_files):
    """Not by the corpus and not by a use of the whole API either."""
    excluded, releases = exclusions.load()
    assert "0.8.0" in releases
    assert exclusions.apply(broad_files, excluded) == []
    found = [f.name for file in broad_files for f in file.functions if f.excluded]
    # Two bodies can share one name, one per platform: only the compiled one has regions.
    assert sorted(found) == sorted(e.name for e in excluded)
    for file in broad_files:
        assert all(f.count == 0 and f.regions.covered == 0 for f in file.functions if f.excluded)


def test_the_whole_api_enters_most_of_what_is_left(broad_files):
    """What is reachable is not defined away: a broad use enters nearly every function of the core that is left."""
    excluded, _ = exclusions.load()
    exclusions.apply(broad_files, excluded)
    core = [f for file in broad_files if file.path.startswith("safetensors/") for f in file.functions if not f.excluded]
    never = {f.name for f in core if not f.regions.covered}
    # Made of errors of the JSON writer, which has none for what it is given.
    assert never <= {"<SafeTensorError as From<Error>>::from"}
    assert len(core) > 25


def test_an_excluded_function_that_ran_counts_as_reachable():
    file = rust_file(dead=0, alive=3)
    warnings = exclusions.apply([file], [Exclusion("src/file.rs", "dead", "x"), Exclusion("src/file.rs", "alive", "x")])
    assert warnings == ["alive (src/file.rs) is excluded from coverage but ran: it counts as reachable"]
    assert (file.region_tally.covered, file.region_tally.reachable, file.region_tally.total) == (1, 1, 2)


def test_a_name_that_is_not_there_is_a_warning_on_the_release_the_list_was_made_on():
    gone = [Exclusion("src/file.rs", "gone", "x")]
    assert exclusions.apply([rust_file(alive=1)], gone) == [
        "gone (src/file.rs) is excluded from coverage but not in this build"
    ]
    assert exclusions.apply([rust_file(alive=1)], gone, exact=False) == []


@pytest.mark.parametrize("text", ["", "releases = [", "group = [1]", 'releases = ["1"]\n[[group]]\nfile = "x"'])
def test_a_damaged_list_is_an_error(tmp_path, text):
    path = tmp_path / "unreachable.toml"
    path.write_text(text)
    with pytest.raises(HarnessError, match="cannot be read"):
        exclusions.load(path)
