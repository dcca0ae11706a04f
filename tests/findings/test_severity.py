"""The severity of a finding, by oracle, kind, rule and aspect."""

from __future__ import annotations

import pytest

import harness.targets.registry  # noqa: F401 - it lets findings load the rules of all oracles
from harness.findings.finding import Finding
from harness.findings.severity import SEVERITIES


@pytest.mark.parametrize(
    ("oracle_name", "signature", "severe"),
    [
        ("isolation", ("crash", "crash", "SIGSEGV/get_slice"), "memory safety"),
        ("isolation", ("crash", "crash", "SIGBUS unforeseen/open"), "memory safety"),
        ("isolation", ("crash", "crash", "SIGABRT"), "denial of service"),
        ("isolation", ("crash", "crash", "SIGABRT/null-pointer"), "denial of service"),
        ("isolation", ("crash", "crash", "exit status 7/header.padding"), "denial of service"),
        ("isolation", ("hang", "hang", "timeout/accept"), "denial of service"),
        ("isolation", ("memory", "memory", "allocation/save"), "denial of service"),
        ("contract", ("panic", "panic", "get_slice: PanicException: x"), "denial of service"),
        ("contract", ("contract", "raise", "TypeError: x"), "wrong exception"),
        ("huge", ("time", "time.open", "names"), "denial of service"),
        ("huge", ("memory", "memory.keys", "tensors"), "denial of service"),
        ("huge", ("differential", "header.json", "accepted/digits"), "leniency"),
        ("huge", ("differential", "refused", "tensors/x"), "strictness"),
        ("huge", ("differential", "misread", "names"), "wrong data"),
        ("resources", ("time", "resources.keys", "tensors/unrelated"), "denial of service"),
        ("resources", ("memory", "resources.keys", "tensors/multiple"), "denial of service"),
        ("leaks", ("memory", "leaks.bytes", "bytes"), "denial of service"),
        ("differential", ("differential", "header.duplicate-key", "accepted/nested"), "leniency"),
        ("differential", ("differential", "misread", "bytes"), "wrong data"),
        ("differential", ("differential", "refused", "invalid JSON"), "strictness"),
        ("numpy", ("differential", "numpy.get_slice", "accepted/outside"), "leniency"),
        ("numpy", ("differential", "numpy.get_slice", "bytes/step"), "wrong data"),
        ("parallel", ("differential", "refused", "empty-at-end"), "strictness"),
        ("parallel", ("differential", "parallel.columns", "bytes"), "wrong data"),
        ("agreement", ("differential", "agreement.deserialize-load", "outcome:accept/reject"), "strictness"),
        ("agreement", ("differential", "agreement.deserialize-load", "tensor:accept/refused"), "strictness"),
        ("agreement", ("differential", "agreement.deserialize-load", "shape"), "wrong data"),
        ("device", ("differential", "device.accepted", "x"), "leniency"),
        ("device", ("differential", "device.refused", "x"), "strictness"),
        ("lifecycle", ("differential", "lifecycle.read", "nothing:SafetensorError"), "strictness"),
        ("lifecycle", ("differential", "lifecycle.cut", "mmap:given"), "wrong data"),
        ("metamorphic", ("differential", "metamorphic.dimension-order", "refused:no"), "strictness"),
        ("metamorphic", ("differential", "metamorphic.padding", "names"), "wrong data"),
        ("metamorphic", ("panic", "metamorphic.padding", "panicked:x"), "denial of service"),
        ("metamorphic", ("contract", "metamorphic.padding", "raised:x"), "wrong exception"),
        ("metamorphic", ("roundtrip", "metamorphic.encoded-again", "bytes"), "wrong data"),
        ("metamorphic", ("roundtrip", "metamorphic.serialized-again", "refused:no"), "wrong data"),
        ("metamorphic", ("panic", "metamorphic.serialized-again", "panicked:x"), "denial of service"),
        ("roundtrip", ("roundtrip", "roundtrip.mode", "new"), "side effect"),
        ("roundtrip", ("roundtrip", "roundtrip.unstable", "x"), "side effect"),
        ("roundtrip", ("roundtrip", "roundtrip.left-over", "x"), "side effect"),
        ("roundtrip", ("roundtrip", "roundtrip.written", "numpy: bytes/strided"), "wrong data"),
        ("torch_roundtrip", ("roundtrip", "torch.answer", "types: ('set', 'list')"), "side effect"),
        ("torch_roundtrip", ("roundtrip", "torch.changed", "x"), "side effect"),
        ("torch_roundtrip", ("roundtrip", "torch.unstable", "x"), "side effect"),
        ("torch_roundtrip", ("roundtrip", "torch.refused", "x"), "strictness"),
        ("torch_roundtrip", ("roundtrip", "torch.unread", "x"), "strictness"),
        ("torch_roundtrip", ("roundtrip", "torch.written", "bytes/strided"), "wrong data"),
        ("resaved", ("roundtrip", "resaved.argument", "save: changed"), "side effect"),
        ("resaved", ("roundtrip", "resaved.refused", "save: no"), "strictness"),
        ("resaved", ("roundtrip", "resaved.content", "save: bytes"), "wrong data"),
    ],
)  # fmt: skip
def test_severity(oracle_name: str, signature: tuple[str, str, str], severe: str):
    kind, name, aspect = signature
    found = Finding.of((oracle_name, kind, name, aspect, "the summary"))
    assert "not installed" not in found.why
    assert found.severity == severe
    assert severe in SEVERITIES
