"""Sources of seeds: the generator, campaigns and other corpora, files of users."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness import corpus_pins, corpus_store, paths
from harness.corpus_store import MAX_SEED, Provenance
from harness.errors import HarnessError
from harness.mutate.generate import generate
from harness.mutate.rng import Rng
from harness.targets.base import Target
from harness.targets.registry import all_targets, get_target

#: Inputs by SHA-1, each with its origin.
Sources = dict[str, tuple[bytes, Provenance]]


def file_targets() -> list[str]:
    """Targets whose inputs are whole files. Other targets take programs."""
    return [name for name, target in all_targets().items() if takes_files(target)]


def takes_files(target: Target) -> bool:
    """Whether the inputs of ``target`` are whole files. The judge itself is such a target, too."""
    return target.judged or not target.uses_parser


def own_corpus() -> Path:
    """The project's writable corpus. It starts as a copy of the package's corpus."""
    own = paths.home() / "corpus"
    packaged = paths.corpus_dir()
    if not own.is_dir() and packaged != own:
        # An existing folder replaces the package's corpus, so it must hold those seeds too.
        for folder in _folders(packaged):
            for _, data in corpus_store.list_seeds(folder).seeds:
                corpus_store.add(own / folder.name, data)
            corpus_store.write_provenance(own / folder.name, corpus_store.read_provenance(folder))
            corpus_pins.write(own / folder.name, corpus_pins.read(folder))
    return own


def _folders(corpus: Path) -> list[Path]:
    return sorted(path for path in corpus.iterdir() if path.is_dir()) if corpus.is_dir() else []


def targets_in(corpus: Path) -> list[str]:
    """Names of the known targets that have a folder in ``corpus``."""
    return [path.name for path in _folders(corpus) if path.name in all_targets()]


def generated(target: str, count: int, first: int) -> Sources:
    """The target's own programs, or ``count`` valid files from the generator with random seeds from ``first`` on.

    Raises HarnessError for a target without generator.
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
        raise HarnessError(
            f"there is no generator for target {target}", hint="harness corpus merge takes inputs of a campaign"
        )
    return found


def corpus_in(folder: Path) -> Path:
    """The corpus of a campaign, or ``folder`` if it is a corpus. Raises HarnessError when it is neither."""
    corpus = folder / "corpus" if (folder / "corpus").is_dir() else folder
    if not targets_in(corpus):
        raise HarnessError(f"{folder} holds no corpus", hint="name a campaign, or a folder with one folder per target")
    return corpus


def read_sources(folder: Path, target: str) -> tuple[Sources, list[str]]:
    """The inputs for ``target`` in a campaign or corpus, with provenance; and the names of skipped files.

    Raises HarnessError when ``folder`` is neither.
    """
    campaign = folder / "campaign.json"
    place = corpus_in(folder) / target
    listing = corpus_store.list_seeds(place)
    written = corpus_store.read_provenance(place)
    default = Provenance("campaign" if campaign.exists() else "import", folder.resolve().name, _campaign_seed(campaign))
    return {name: (data, written.get(name, default)) for name, data in listing.seeds}, listing.skipped


def _campaign_seed(path: Path) -> int | None:
    """The random seed of the campaign's last session; None if unknown."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        seed = json.loads(path.read_text())["sessions"][-1]["seed"]
        return int(seed)
    return None


def import_files(
    corpus: Path, targets: Sequence[str], names: Iterable[Path]
) -> tuple[dict[str, int], list[tuple[Path, str]]]:
    """Add files of users as seeds; folders are searched for ``*.safetensors``.

    Returns the number of new seeds per target, and the skipped files with the reason. Raises HarnessError for a missing file.
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
