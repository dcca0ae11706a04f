from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.errors import HarnessError
from harness.observation import PANIC, RAISE, REJECT, classify
from harness.targets import base


def test_the_four_targets_are_there_and_complete():
    targets = base.targets()
    assert list(targets)[:4] == ["deserialize", "safe_open", "model", "huge"]
    for name, target in targets.items():
        assert target.name == name
        assert target.description
        assert 0 < target.max_len <= 1 << 16
        assert target.memory_mb >= 256


def test_a_target_that_is_not_judged_as_a_file_uses_no_parser_or_brings_its_own_oracle():
    for target in base.targets().values():
        own = callable(getattr(target, "check", None)) or base.oracles(target)
        assert target.judged or not target.uses_parser or own


def test_an_unknown_target_names_the_known_ones():
    with pytest.raises(HarnessError, match="no target is called 'nonsense'") as failure:
        base.get("nonsense")
    assert "deserialize" in failure.value.hint


def test_other_people_s_targets_are_found_and_do_not_replace_ours(monkeypatch):
    class Other:
        name = "other"

    class Impostor:
        name = "deserialize"

    points = [SimpleNamespace(load=lambda: Other), SimpleNamespace(load=lambda: Impostor)]
    monkeypatch.setattr(base, "entry_points", lambda group: points if group == base.ENTRY_POINTS else [])
    found = base.targets()
    assert found["other"].name == "other"
    assert type(found["deserialize"]).__name__ == "Deserialize"


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
