"""Keeping the corpus: what is in it, the small set that reaches the same, taking in campaigns and people's files."""

from __future__ import annotations

import contextlib
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import corpus_store, paths
from harness.corpus_store import MAX_SEED, Provenance
from harness.coverage.cover import cover
from harness.coverage.features import Features, features_of
from harness.errors import HarnessError
from harness.format.judge import judge
from harness.mutate.generate import generate
from harness.mutate.rng import Rng
from harness.parsers.registry import Parser
from harness.targets import base

Sources = dict[str, tuple[bytes, Provenance]]


@dataclass(frozen=True, slots=True)
class Stats:
    """One target's seeds. ``sources`` counts them by where they came from, ``rules`` by the judge's answer."""

    target: str
    seeds: int
    size: int
    median: float
    largest: int
    sources: dict[str, int]
    rules: dict[str, int]
    skipped: list[str]


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation did to one target's seeds, in files and in bytes."""

    target: str
    before: int
    after: int
    bytes_before: int
    bytes_after: int
    features: int
    killed: int = 0


def file_targets() -> list[str]:
    """Targets whose inputs are whole files, so that a user's file is a seed for them; others take programs."""
    return [name for name, target in base.targets().items() if _takes_files(target)]


def _takes_files(target: base.Target) -> bool:
    # The model is not judged, as it is the judge.
    return target.judged or not target.uses_parser


def own_corpus() -> Path:
    """The project's corpus, to write to: made from the package's where the project has none yet."""
    own = paths.home() / "corpus"
    packaged = paths.corpus_dir()
    if not own.is_dir() and packaged != own:
        # As soon as it exists it stands in for the package's, so it must hold those seeds too.
        for folder in _folders(packaged):
            for _, data in corpus_store.list_seeds(folder).seeds:
                corpus_store.add(own / folder.name, data)
            corpus_store.write_provenance(own / folder.name, corpus_store.read_provenance(folder))
    return own


def _folders(corpus: Path) -> list[Path]:
    return sorted(path for path in corpus.iterdir() if path.is_dir()) if corpus.is_dir() else []


def targets_in(corpus: Path) -> list[str]:
    """Names of the known targets that have a folder in ``corpus``."""
    return [path.name for path in _folders(corpus) if path.name in base.targets()]


def stats(corpus: Path, target: str) -> Stats:
    """Count the seeds of ``target``."""
    listing = corpus_store.list_seeds(corpus / target)
    provenance = corpus_store.read_provenance(corpus / target)
    sizes = [len(data) for _, data in listing.seeds] or [0]
    files = listing.seeds if _takes_files(base.get(target)) else []
    rules = Counter(judge(data).rule or "accepted" for _, data in files)
    sources = Counter(provenance[name].source if name in provenance else "unknown" for name, _ in listing.seeds)
    return Stats(
        target,
        len(listing.seeds),
        sum(sizes),
        statistics.median(sizes),
        max(sizes),
        dict(sources.most_common()),
        dict(rules.most_common()),
        listing.skipped,
    )


def minimize(corpus: Path, target: str, parser: Parser | None) -> Change:
    """Remove the seeds of ``target`` that add no feature to the rest, and those that end their process.

    Nothing is removed before all is known, so an interruption leaves every seed that is needed. Files that are no
    seeds stay. Raises HarnessError when there are no seeds, EngineError when they cannot be run.
    """
    folder = corpus / target
    seeds = corpus_store.list_seeds(folder).seeds
    if not seeds:
        raise HarnessError(f"no seeds for target {target} in {corpus}", hint="harness corpus stats shows what there is")
    features, alive = _run(parser, target, seeds)
    chosen = {alive[i][0] for i in cover(features, [len(data) for _, data in alive])}
    kept = [(name, data) for name, data in seeds if name in chosen]
    provenance = corpus_store.read_provenance(folder)
    for name, _ in seeds:
        if name not in chosen:
            (folder / name).unlink(missing_ok=True)
    corpus_store.write_provenance(folder, {name: provenance[name] for name, _ in kept if name in provenance})
    return _change(target, seeds, kept, features, len(seeds) - len(alive))


def _run(
    parser: Parser | None, target: str, seeds: Sequence[tuple[str, bytes]]
) -> tuple[list[Features], list[tuple[str, bytes]]]:
    """Features of the seeds that do not end their process, and those seeds."""
    found, _ = features_of(parser, target, [data for _, data in seeds])
    pairs = [(f, seed) for f, seed in zip(found, seeds, strict=True) if f is not None]
    return [f for f, _ in pairs], [seed for _, seed in pairs]


def _of_code(found: list[Features]) -> list[Features]:
    return [frozenset(name for name in one if name.startswith(("edge ", "line ", "answer "))) for one in found]


def _change(
    target: str,
    before: Sequence[tuple[str, bytes]],
    after: Sequence[tuple[str, bytes]],
    features: Iterable[Features],
    killed: int,
) -> Change:
    size_before, size_after = (sum(len(data) for _, data in seeds) for seeds in (before, after))
    reached = len(frozenset().union(*features))
    return Change(target, len(before), len(after), size_before, size_after, reached, killed)


def merge(corpus: Path, target: str, sources: Sources, parser: Parser | None, *, code_only: bool = False) -> Change:
    """Add to the seeds of ``target`` those of ``sources`` (by SHA-1) that reach what no seed reaches yet.

    With ``code_only`` only code counts, edges and lines, and answers: a program may combine what is known in a thousand
    ways that a campaign is paid for and nobody needs to keep. Inputs that end their process are left out. Raises
    EngineError when they cannot be run.
    """
    folder = corpus / target
    old = corpus_store.list_seeds(folder).seeds
    names = {name for name, _ in old}
    fresh = [(name, data) for name, (data, _) in sorted(sources.items()) if name not in names]
    old_features, _ = _run(parser, target, old)
    features, alive = _run(parser, target, fresh)
    if code_only:
        old_features, features = _of_code(old_features), _of_code(features)
    have = frozenset().union(*old_features)
    added = [alive[i] for i in cover(features, [len(data) for _, data in alive], have)]
    provenance = corpus_store.read_provenance(folder)
    for name, data in added:
        corpus_store.add(folder, data)
        provenance[name] = sources[name][1]
    if added:
        corpus_store.write_provenance(folder, provenance)
    return _change(target, old, [*old, *added], [*old_features, *features], len(fresh) - len(alive))


def generated(target: str, count: int, first: int) -> Sources:
    """``count`` valid files from the generator with random seeds from ``first`` on; else the target's own programs.

    Raises HarnessError for a target that has no generator.
    """
    found: Sources = {}
    programs = base.seeds(base.get(target))
    if programs:
        for name, program in programs.items():
            found[corpus_store.sha1(program)] = program, Provenance("generator", f"{target}.seeds {name}")
    elif _takes_files(base.get(target)):
        for seed in range(first, first + count):
            data = generate(Rng(seed))
            found.setdefault(corpus_store.sha1(data), (data, Provenance("generator", "mutate.generate", seed)))
    else:
        raise HarnessError(f"there is no generator for target {target}", hint="harness corpus merge takes a campaign's")
    return found


def corpus_in(folder: Path) -> Path:
    """The corpus of a campaign folder, or ``folder`` where it is one itself. Raises HarnessError when it is neither."""
    corpus = folder / "corpus" if (folder / "corpus").is_dir() else folder
    if not targets_in(corpus):
        raise HarnessError(
            f"{folder} holds no corpus", hint="name a campaign (build/campaigns/...) or a folder with one per target"
        )
    return corpus


def read_sources(folder: Path, target: str) -> tuple[Sources, list[str]]:
    """The inputs for ``target`` in a campaign, or in another corpus, with provenance; and what was skipped.

    Raises HarnessError when ``folder`` is neither.
    """
    campaign = folder / "campaign.json"
    place = corpus_in(folder) / target
    listing = corpus_store.list_seeds(place)
    written = corpus_store.read_provenance(place)
    default = Provenance("campaign" if campaign.exists() else "import", folder.resolve().name, _campaign_seed(campaign))
    return {name: (data, written.get(name, default)) for name, data in listing.seeds}, listing.skipped


def _campaign_seed(path: Path) -> int | None:
    """The random seed of the campaign's last session, where its ledger says so."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        seed = json.loads(path.read_text())["sessions"][-1]["seed"]
        return int(seed)
    return None


def import_files(
    corpus: Path, targets: Sequence[str], names: Iterable[Path]
) -> tuple[dict[str, int], list[tuple[Path, str]]]:
    """Add people's files as seeds; folders are searched for ``*.safetensors``.

    Returns how many are new per target, and the files that were skipped with the reason: a file past the size cap is
    not cut down, as what is left would be another file. Raises HarnessError for a name that does not exist.
    """
    added = dict.fromkeys(targets, 0)
    skipped: list[tuple[Path, str]] = []
    files = list(_files(names))
    if not files:
        raise HarnessError("there is no *.safetensors file there", hint="name the files themselves")
    for path in files:
        try:
            if not path.is_file():
                skipped.append((path, "no regular file"))
                continue
            if path.stat().st_size > MAX_SEED:
                skipped.append((path, f"{path.stat().st_size} bytes, a seed has at most {MAX_SEED}"))
                continue
            data = path.read_bytes()
        except OSError as error:
            skipped.append((path, str(error.strerror)))
            continue
        for target in targets:
            folder = corpus / target
            provenance = corpus_store.read_provenance(folder)
            name = corpus_store.add(folder, data).name
            if name not in provenance:
                added[target] += 1
                corpus_store.write_provenance(folder, {**provenance, name: Provenance("import", path.name)})
    return added, skipped


def _files(names: Iterable[Path]) -> Iterator[Path]:
    for path in names:
        if path.is_dir():
            yield from sorted(path.rglob("*.safetensors"))
        elif path.exists():
            yield path
        else:
            raise HarnessError(f"{path} does not exist", hint="name safetensors files, or folders that hold some")
