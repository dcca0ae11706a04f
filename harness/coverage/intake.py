"""Where seeds come from: the generator, campaigns and other corpora, people's files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness import corpus_store, paths
from harness.corpus_store import MAX_SEED, Provenance
from harness.errors import HarnessError
from harness.mutate.generate import generate
from harness.mutate.rng import Rng
from harness.targets.base import Target
from harness.targets.registry import all_targets, get_target

#: Inputs by SHA-1, with where each came from.
Sources = dict[str, tuple[bytes, Provenance]]


def file_targets() -> list[str]:
    """Targets whose inputs are whole files, so that a user's file is a seed for them; others take programs."""
    return [name for name, target in all_targets().items() if takes_files(target)]


def takes_files(target: Target) -> bool:
    """Whether its inputs are whole files."""
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
    return [path.name for path in _folders(corpus) if path.name in all_targets()]


def generated(target: str, count: int, first: int) -> Sources:
    """``count`` valid files from the generator with random seeds from ``first`` on; else the target's own programs.

    Raises HarnessError for a target that has no generator.
    """
    found: Sources = {}
    programs = get_target(target).seeds()
    if programs:
        for name, program in programs.items():
            found[corpus_store.sha1(program)] = program, Provenance("generator", f"{target}.seeds {name}")
    elif takes_files(get_target(target)):
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
    skipped: list[tuple[Path, str]] = []
    found: Sources = {}
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
        found.setdefault(corpus_store.sha1(data), (data, Provenance("import", path.name)))
    added = dict.fromkeys(targets, 0)
    for target in targets if found else ():
        with corpus_store.locked(corpus / target) as folder:
            known = corpus_store.read_provenance(folder)
            here = known.keys() & {path.name for path in folder.iterdir()}
            fresh = {name: source for name, source in found.items() if name not in here}
            corpus_store.change(folder, fresh)
            added[target] = len(fresh)
    return added, skipped


def _files(names: Iterable[Path]) -> Iterator[Path]:
    for path in names:
        if path.is_dir():
            yield from sorted(path.rglob("*.safetensors"))
        elif path.exists():
            yield path
        else:
            raise HarnessError(f"{path} does not exist", hint="name safetensors files, or folders that hold some")
