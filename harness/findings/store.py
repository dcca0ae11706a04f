"""The findings of campaigns, ``<campaign>/findings/<id>/{input,finding.json}``: each signature once, its smallest input.

Several workers write at once: the one that adds a finding holds the lock of the folder ``findings``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import crashes
from harness.findings.finding import Finding, Record

INPUT = "input"
ABOUT = "finding.json"
_DAMAGED = "the input beside it is untouched (`harness repro` runs it as a file); move the folder away to go on"
REPORT = crashes.REPORT


@dataclass(frozen=True, slots=True)
class Stored(Record):
    """One finding of a campaign. ``seconds`` since the worker's start, ``size`` of the input in bytes.

    ``fields`` are all of finding.json, fields of other tools included.
    """

    finding: Finding
    folder: Path
    size: int
    parser: str
    seed: int
    execution: int
    seconds: float
    first_seen: str
    count: int
    guard: tuple[str, ...]
    fields: dict[str, Any] = field(repr=False, compare=False)

    @property
    def input(self) -> Path:
        """The input's file."""
        return self.folder / INPUT

    def data(self) -> bytes:
        """The input. Raises HarnessError when it is gone."""
        try:
            return self.input.read_bytes()
        except OSError as error:
            raise HarnessError(
                f"{self.input}: {error.strerror}", hint="restore the file, or delete its folder"
            ) from error


@contextlib.contextmanager
def _locked(campaign: Path) -> Iterator[Path]:
    folder = campaign / "findings"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def add(
    campaign: Path,
    finding: Finding,
    data: bytes,
    *,
    parser: str,
    seed: int,
    execution: int = 0,
    seconds: float = 0.0,
    count: int = 1,
) -> bool:
    """Store a finding, or replace its input where this one is smaller; True when the signature is new here.

    ``count`` is added to how often it was seen. The input is written before finding.json, so a kill in between leaves a
    folder that :func:`findings` does not list and the next call completes.
    """
    with _locked(campaign) as root:
        folder = root / finding.id
        folder.mkdir(exist_ok=True)
        old = _read(folder / ABOUT) if (folder / ABOUT).is_file() else None
        about: dict[str, Any] = old or {
            **finding.about(),
            "parser": parser,
            "seed": seed,
            "execution": execution,
            "seconds": round(seconds, 3),
            "first_seen": datetime.now(UTC).isoformat(timespec="seconds"),
            "count": 0,
        }
        about["count"] += count
        if old is None or len(data) < about["size"]:
            write_atomic(folder / INPUT, data)
            about |= {"summary": finding.summary, "size": len(data)}
        _write(folder / ABOUT, about)
        return old is None


def _write(path: Path, about: dict[str, Any]) -> None:
    write_atomic(path, json.dumps(about, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_bytes())
        if not isinstance(about, dict):
            raise TypeError("not an object")
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}", hint="check the campaign's folder") from error
    except (ValueError, TypeError) as error:
        raise HarnessError(f"{path} is damaged: {error}", hint=_DAMAGED) from error
    return about


def _stored(folder: Path) -> Stored:
    path = folder / ABOUT
    about = _read(path)
    try:
        return Stored(
            finding=Finding.of_signature(about["signature"], about["oracle"], about["summary"]),
            folder=folder,
            guard=tuple(about.get("guard", ())),
            fields=about,
            **{name: about[name] for name in _PLAIN},
        )
    except KeyError as error:
        raise HarnessError(f"{path} lacks the field {error}", hint=_DAMAGED) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise HarnessError(f"{path} is damaged: {error}", hint=_DAMAGED) from error


_PLAIN = ("size", "parser", "seed", "execution", "seconds", "first_seen", "count")


def findings(campaign: Path) -> list[Stored]:
    """The findings of a campaign, by id. Raises HarnessError naming the file that is damaged."""
    return [_stored(path.parent) for path in sorted((campaign / "findings").glob(f"*/{ABOUT}"))]


def finding_at(folder: Path) -> Stored:
    """The finding stored in ``folder``."""
    return _stored(folder)


def sessions(campaign: Path) -> list[dict[str, Any]]:
    """The sessions in campaign.json, the first one first; none where there is no such file.

    Raises HarnessError when it is damaged.
    """
    path = campaign / "campaign.json"
    hint = "move it away to go on without its figures; the findings beside it are untouched"
    try:
        found = json.loads(path.read_bytes()).get("sessions", [])
        if not isinstance(found, list) or not all(isinstance(session, dict) for session in found):
            raise TypeError("sessions are no list of objects")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}", hint=hint) from error
    except (ValueError, AttributeError, TypeError) as error:
        raise HarnessError(f"{path} is no ledger: {error}", hint=hint) from error
    return found


def count(finding: Stored, ledger: Iterable[dict[str, Any]]) -> int:
    """How many executions showed a finding, by the sessions of its campaign; finding.json counts only what was stored."""
    counted = sum(int(session.get("findings", {}).get(finding.id, {}).get("count", 0)) for session in ledger)
    return max(finding.count, counted)


def update(finding: Stored, **fields: Any) -> None:
    """Add or change fields of finding.json."""
    with _locked(finding.folder.parents[1]):
        _write(finding.folder / ABOUT, _read(finding.folder / ABOUT) | fields)


def replace_input(finding: Stored, data: bytes, summary: str) -> None:
    """Put a minimised input in the place of a larger one."""
    with _locked(finding.folder.parents[1]):
        about = _read(finding.folder / ABOUT)
        about.setdefault("found_size", about["size"])
        write_atomic(finding.input, data)
        _write(finding.folder / ABOUT, about | {"size": len(data), "summary": summary})


def set_guard(campaign: Path, id: str, words: Sequence[str]) -> None:  # noqa: A002 - as above
    """Keep the words by which workers recognise, and skip, inputs that kill as this finding's do."""
    path = campaign / "findings" / id / ABOUT
    with _locked(campaign):
        _write(path, _read(path) | {"guard": list(words)})


def set_report(campaign: Path, id: str, report: str) -> None:  # noqa: A002 - as above
    """Keep the sanitizer's report beside a finding, the first of them."""
    path = campaign / "findings" / id / REPORT
    with _locked(campaign):
        if not path.exists():
            write_atomic(path, report)


def guards(campaign: Path) -> list[list[str]]:
    """The guards of all findings of a campaign."""
    return [list(stored.guard) for stored in findings(campaign) if stored.guard]


def campaigns() -> list[Path]:
    """All campaigns of this project, the latest first."""
    ledgers = [(path.stat().st_mtime, path.parent) for path in paths.campaigns_dir().glob("*/campaign.json")]
    return [folder for _, folder in sorted(ledgers, reverse=True)]


def reference(campaign: Path, name: str) -> str:
    """How a user names a finding of ``campaign`` on a command line: by its id, or by its folder where the campaign lies elsewhere."""
    if _in_project(campaign):
        return name
    return shlex.quote(str(paths.shown(campaign.resolve() / "findings" / name)))


def option(campaign: Path) -> str:
    """The option that selects ``campaign``, with a space before it; "" for the latest one, which is the default."""
    if [latest.resolve() for latest in campaigns()[:1]] == [campaign.resolve()]:
        return ""
    return (
        f" --campaign {shlex.quote(campaign.name if _in_project(campaign) else str(paths.shown(campaign.resolve())))}"
    )


def _in_project(campaign: Path) -> bool:
    """Whether a campaign's folder lies where commands look for names of campaigns."""
    return campaign.resolve().parent == paths.campaigns_dir().resolve()


def campaign_at(chosen: Path | None) -> Path:
    """The campaign in that folder, or of that name in build/campaigns; the latest when None.

    Raises HarnessError when there is none.
    """
    if chosen is None:
        latest = campaigns()
        if not latest:
            raise HarnessError(f"no campaign in {paths.campaigns_dir()}", hint="run one: harness fuzz --time 60s")
        return latest[0]
    for folder in (chosen, paths.campaigns_dir() / chosen):
        if (folder / "campaign.json").is_file() or (folder / "findings").is_dir():
            return folder
    names = ", ".join(folder.name for folder in campaigns()[:8]) or "none yet"
    raise HarnessError(f"{chosen} is no campaign folder (it has no campaign.json)", hint=f"campaigns here: {names}")
