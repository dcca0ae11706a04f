"""A file on disk, of any size, through ``safe_open``: ``harness check`` uses it where a file is too large to be sent.

The input is the file's path. Nothing of the buffer is read: names, dtypes, shapes and metadata are compared with
the judge's reading of the header.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from harness.findings.finding import Finding
from harness.format.judge import Judgement, judge
from harness.format.rules import HEADER_LIMIT
from harness.observation import ACCEPT, NOT_READ, REJECT, Observation, Reading, Run, classify
from harness.oracles import differential
from harness.oracles.oracle import Execution, oracle
from harness.targets.base import PATH, Target


def judge_file(path: str) -> tuple[Judgement, bytes]:
    """The judgement of a file of any size, of which no more than its header is read, and that. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
        wanted = 8 + min(length, HEADER_LIMIT + 1)
        parts: list[bytes] = []
        done = 0
        while part := os.pread(descriptor, min(wanted - done, 1 << 24), done):
            parts.append(part)
            done += len(part)
        head = b"".join(parts)
        return judge(head, size), head
    finally:
        os.close(descriptor)


@oracle(*differential.RULES.values())
def against_header(execution: Execution) -> list[Finding]:
    """The file whose path is the input, against the judge, by header alone."""
    if not execution.data:
        return []
    judgement, head = judge_file(os.fsdecode(execution.data))
    outcome, error, value = execution.observation
    if outcome == REJECT:
        return differential.refused(head, judgement, error)
    if outcome != ACCEPT:
        return []
    if judgement.header is not None:
        # No bytes were read, so none are compared: every tensor is taken as empty on both sides.
        header = judgement.header
        tensors = tuple(tensor._replace(begin=0, end=0) for tensor in header.tensors)
        judgement = judgement._replace(header=header._replace(tensors=tensors))
    return differential.accepted(b"", judgement, value)


class OpenFile(Target):
    """``safe_open`` on a path; listed nowhere, because its inputs cannot be fuzzed."""

    name = "file"
    description = "safe_open(path): keys, metadata, dtype and shape of every tensor, from a file on disk"
    memory_mb = 2048
    input_kind = PATH
    listed = False
    oracles = (against_header,)

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to open files."""
        assert safetensors is not None
        safe_open = safetensors.safe_open
        refusal: type[Exception] = safetensors.SafetensorError

        def run(path: bytes) -> Observation:
            try:
                with safe_open(os.fsdecode(path), framework="numpy") as file:
                    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
                    tensors = [
                        (name, {"dtype": part.get_dtype(), "shape": part.get_shape(), "data": b""})
                        for name, part in slices.items()
                    ]
                    return ACCEPT, "", Reading(tensors, file.metadata())
            except BaseException as error:
                return classify(error, (refusal,))

        return run

    def reading(self, value: Any) -> Reading:
        """The reading, without the bytes of tensors."""
        return value if isinstance(value, Reading) else Reading(tensors=[], metadata=NOT_READ)
