"""What is known: filed findings and verdicts, of a target and of the targets that it is built on."""

from __future__ import annotations

from harness.findings import crashes
from harness.targets import known_findings


def test_what_is_filed_of_a_reader_is_known_of_the_loaders_that_stand_on_it(monkeypatch):
    rule = "contract|raise|TypeError: no"
    crash = next(one for one in crashes.crashes() if one.status == crashes.OPEN)
    monkeypatch.setattr(crashes, "find", lambda signature: crash if signature == f"safe_open|{rule}" else None)
    for signature in (
        f"safe_open|{rule}",
        f"numpy|{rule}",
        "backends|contract|raise|pread.get_slice: TypeError: no",
        "slices|contract|raise|get_slice: TypeError: no",
        "quantized|contract|raise|get_tensors: TypeError: no",
    ):
        assert known_findings.known(signature) == crash.id
        assert known_findings.is_open(signature)
    for signature in (
        "deserialize|contract|raise|TypeError: no",
        "numpy|contract|raise|pread.get_slice: TypeError: no",
        "numpy|contract|raise|load: TypeError: yes",
        "slices|contract|raise|get_shape: TypeError: no",
        "nobody|contract|raise|TypeError: no",
    ):
        assert known_findings.known(signature) is None
        assert not known_findings.is_open(signature)
