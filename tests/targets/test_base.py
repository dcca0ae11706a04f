from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.errors import HarnessError
from harness.observation import PANIC, RAISE, REJECT, classify
from harness.replay.judge import own_check
from harness.targets import registry
from harness.targets.base import Target
from harness.targets.files.model import Model
from harness.targets.registry import all_targets, broken_targets, get_target


def test_the_targets_of_files_come_first_and_all_are_complete():
    targets = all_targets()
    assert list(targets)[:3] == ["deserialize", "model", "safe_open"]
    assert "huge" in targets
    for name, target in targets.items():
        assert target.name == name
        assert target.description
        assert 0 < target.max_len <= 1 << 16
        assert target.memory_mb >= 256


def test_a_target_that_is_not_judged_as_a_file_uses_no_parser_or_brings_its_own_oracle():
    for target in all_targets().values():
        assert target.judged or not target.uses_parser or own_check(target) is not None


def test_an_unknown_target_names_the_known_ones():
    with pytest.raises(HarnessError, match="no target is called 'nonsense'") as failure:
        get_target("nonsense")
    assert "deserialize" in failure.value.hint


def test_other_people_s_targets_are_found_and_do_not_replace_ours(monkeypatch):
    class Other(Model):
        name = "other"

    class Impostor(Model):
        name = "deserialize"

    plant(monkeypatch, one=Other, two=Impostor)
    found = all_targets()
    assert found["other"].name == "other"
    assert type(found["deserialize"]).__name__ == "Deserialize"


def test_other_people_s_packages_that_are_broken_are_named_and_stop_nothing(monkeypatch):
    def unwell() -> type:
        raise SystemExit("no licence")

    class Nameless:
        open = reading = None

    class Closed(Target):
        name, description = "closed", "a target that cannot be opened"

    class Silent(Model):
        name, description = "silent", ""

    ours = {name for name, target in all_targets().items() if type(target).__module__.startswith("harness.targets.")}
    points = [
        SimpleNamespace(name="unwell", value="a:b", load=unwell),
        SimpleNamespace(name="odd", value="c:d", load=lambda: Nameless),
        SimpleNamespace(name="closed", value="e:f", load=lambda: Closed),
        SimpleNamespace(name="silent", value="g:h", load=lambda: Silent),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.ENTRY_POINTS else [])
    assert set(all_targets()) == ours
    assert broken_targets() == {
        "unwell": "a:b cannot be imported: SystemExit: no licence",
        "odd": "c:d is no target: it does not derive from harness.targets.base.Target",
        "closed": "e:f is no target: it lacks the method open",
        "silent": "g:h is no target: it has no description",
    }
    with pytest.raises(HarnessError, match="target unwell does not load: a:b cannot be imported"):
        get_target("unwell")


def test_a_target_says_which_modules_it_lacks(monkeypatch):
    class Needy(Model):
        name, needs = "needy", ("no_such_module", "json", "nor_this")

    plant(monkeypatch, needy=Needy)
    assert get_target("needy").missing() == "no_such_module and nor_this are not installed"
    assert get_target("deserialize").missing() == ""


def plant(monkeypatch: pytest.MonkeyPatch, **targets: type) -> None:
    """Other people's targets, as entry points."""
    points = [SimpleNamespace(name=name, value="", load=lambda kind=kind: kind) for name, kind in targets.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.ENTRY_POINTS else [])


class PanicException(BaseException):
    """Named as pyo3 names its own."""


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(KeyError("x"), REJECT), (ValueError("x"), RAISE), (PanicException("x"), PANIC), (MemoryError(), RAISE)],
)
def test_classify(error: BaseException, outcome: str):
    observed = classify(error, (KeyError,))
    assert observed[0] == outcome
    assert observed[1].startswith(type(error).__name__)
    assert observed[2] is error


def test_an_interrupt_is_no_observation():
    with pytest.raises(KeyboardInterrupt):
        classify(KeyboardInterrupt(), (KeyError,))
