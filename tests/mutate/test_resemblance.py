"""Names that resemble a name, and metadata of real checkpoints."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from harness.mutate.conventions import CONVENTIONS
from harness.mutate.operators import relations
from harness.mutate.resemblance import resembling


def test_a_name_is_resembled_by_case_form_prefix_digits_paths_and_fields() -> None:
    found = set(resembling("layers.1.Weight"))
    assert {"layers.1.weight", "LAYERS.1.WEIGHT"} <= found
    assert {"layers.01.Weight", "layers.10.Weight", "layers.2.Weight", "layers.１.Weight"} <= found
    assert {"layers.1.Weigh", "ayers.1.Weight", "module.layers.1.Weight", "Weight", "layers.1.Weight.weight"} <= found
    assert {"layers/1/Weight", "../layers.1.Weight", "layers.1.Weight/", "layers..1..Weight"} <= found
    assert {"dtype", "shape", "data_offsets", "__METADATA__", "__metadata__.layers.1.Weight"} <= found
    assert {"layers.1.Weight\0", "layers.1.Weight ", "layers.1.Weight\u200b"} <= found


def test_both_unicode_forms_of_a_name_are_there_and_differ() -> None:
    for name in ("weight", "é", "e\u0301"):
        forms = {
            unicodedata.normalize("NFC", other)
            for other in resembling(name)
            if not unicodedata.is_normalized("NFC", other)
        }
        assert forms & {name, *resembling(name)}


@given(st.text(max_size=20))
def test_no_name_resembles_itself_twice_or_the_metadata(name: str) -> None:
    found = resembling(name)
    assert len(set(found)) == len(found) > 20
    assert not {name, "__metadata__"} & set(found)
    assert found == resembling(name)


def test_each_convention_is_another_entry_with_its_source() -> None:
    assert len({one[:2] for one in CONVENTIONS}) == len(CONVENTIONS) == len(relations._ENTRIES)
    assert {"format", "lora_adapter_metadata", "modelspec.sai_model_spec", "ss_network_module"} <= {
        one.key for one in CONVENTIONS
    }
    assert all(": " in one.source for one in CONVENTIONS)
