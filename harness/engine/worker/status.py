"""The status that a worker writes for its supervisor, twice a second.

Worker and supervisor are processes of one campaign, and so of one version of the harness.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

FILE = "status.json"
#: Moments in a status. At two a second, they span half a minute in which the supervisor need not look.
MOMENTS = 64
#: Seconds that :attr:`WorkerStatus.rate` looks back. A shorter time makes it jump, a longer one hides a stuck worker.
_RATE_S = 4.0


class Moment(NamedTuple):
    """A worker's figures at one time. ``clock`` is the monotonic clock in seconds, the same in all processes."""

    clock: float
    cpu_seconds: float
    executions: int
    edges: int
    features: int
    semantic: int
    corpus: int
    signatures: int


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker's figures so far; the defaults are those of a worker that has not written any.

    ``edges`` are edges of the parser: libFuzzer's count without the semantic features. ``ns`` has nanoseconds per execution by
    part ("run", "oracles", "mutate"). ``rss_history`` holds (seconds, MB). ``semantic_keys`` is filled in the last status only.
    """

    executions: int = 0
    accepted: int = 0
    deep: int = 0
    judged: int = 0
    judged_refused: int = 0
    guarded: int = 0
    #: Executions in the fork server.
    forked: int = 0
    defects: int = 0
    seeds: int = 0
    stages: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    ns: dict[str, int] = field(default_factory=dict)
    #: By id of the finding.
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    operators: dict[str, dict[str, int]] = field(default_factory=dict)
    median_size: int = 0
    edges: int = 0
    features: int = 0
    semantic_features: int = 0
    corpus: int = 0
    #: Native edges that the start-up check saw.
    edges_at_start: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    #: The same two from the start of libFuzzer on.
    fuzzing_seconds: float = 0.0
    fuzzing_cpu_seconds: float = 0.0
    #: Seconds from the start of the process to this status, and to the first mutation (0 before it).
    since_exec: float = 0.0
    ready_seconds: float = 0.0
    #: Whether the seeds have run.
    mutating: bool = False
    rss_mb: int = 0
    rss_history: list[tuple[float, int]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    semantic_keys: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """JSON for :meth:`from_json`."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, text: bytes) -> WorkerStatus:
        """Read what :meth:`to_json` wrote. Raises ValueError where the text is cut."""
        raw = json.loads(text)
        return cls(**raw | {"moments": [Moment(*moment) for moment in raw["moments"]]})

    @property
    def rate(self) -> float:
        """Executions per second over the last seconds; before the first mutation, since the start."""
        recent = [moment for moment in self.moments if moment.clock >= self.moments[-1].clock - _RATE_S]
        if len(recent) > 1:
            return (recent[-1].executions - recent[0].executions) / (recent[-1].clock - recent[0].clock)
        return self.executions / self.seconds if self.seconds else 0.0
