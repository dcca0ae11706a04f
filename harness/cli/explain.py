"""``harness explain``: prints the header of a file and marks its faults."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from harness import foreign_files
from harness.cli import _options
from harness.errors import HarnessError
from harness.foreign_files import ForeignFile
from harness.format.judge import RULES, UNSPECIFIED, Judgement, judge
from harness.report.text import plain
from harness.targets.files.on_disk import judge_file
from harness.targets.registry import get_target
from harness.triage import inputs, show
from harness.triage.inputs import Named, resolve

# Bytes that are shown of a file of another format.
_FOREIGN_SHOWN = 64


@click.command(epilog="Example: harness explain model.safetensors   (or the id of a finding)")
@click.argument("what", metavar="FILE|ID")
@click.option("--target", metavar="T", help="Explain a file as an input of this target. Default: the finding's own.")
@click.option("--width", type=click.IntRange(min=40), default=100, show_default=True, help="Columns.")
@_options.as_json("Print the verdict, and the tensors or the program, as JSON.")
def command(what: str, target: str | None, width: int, as_json: bool) -> int:
    """Print the header of a file piece by piece, mark its fault, and quote the sentence of the format that it breaks.

    An input of a target that takes programs is printed as its calls. A file of another format is named: a Git LFS pointer, an archive, a web page, a download that is cut off. Exit status 0:
    the format allows the file. Exit status 1: it does not, or leaves the case open.
    """
    try:
        named = resolve(what)
    except HarnessError as error:
        if not Path(what).is_dir():
            raise
        raise HarnessError(str(error), hint="name a file in it, or run harness check on the folder") from error
    if target is not None:
        named = replace(named, target=get_target(target).name)
    words = get_target(named.target).explain(named.data()) if named.target else ""
    if words:
        told = {"file": str(named.path), "target": named.target, "signature": named.signature, "program": words}
        if as_json:
            _options.print_json(told)
        else:
            click.echo(words, nl=False)
        return 0
    size = inputs.size_of(named.path)
    if size <= inputs.MAX_WHOLE:
        data = named.data()
        judgement = judge(data)
    else:
        try:
            judgement, data = judge_file(str(named.path))
        except OSError as error:
            raise HarnessError(f"{named.path}: {error.strerror}", hint="name a file that can be read") from error
    foreign = foreign_files.identify(data, size)
    if as_json:
        _options.print_json(_as_json(named, size, judgement, foreign))
    else:
        _print(named, data, size, judgement, foreign, width)
    return int(judgement.verdict != "accept")


def _as_json(named: Named, size: int, judgement: Judgement, foreign: ForeignFile | None) -> dict[str, Any]:
    header = judgement.header
    return {
        "file": str(named.path),
        "target": named.target,
        "signature": named.signature,
        "size": size,
        "foreign": asdict(foreign) if foreign else None,
        "verdict": judgement.verdict,
        "rule": judgement.rule,
        "aspect": judgement.aspect,
        "detail": judgement.detail,
        "sentence": _sentence(judgement.rule),
        "span": judgement.span,
        "metadata": header.metadata if header else None,
        "tensors": [
            {"name": t.name, "dtype": t.dtype, "shape": list(t.shape), "data_offsets": [t.begin, t.end]}
            for t in (header.tensors if header else ())
        ],
    }


def _print(named: Named, data: bytes, size: int, judgement: Judgement, foreign: ForeignFile | None, width: int) -> None:
    colour = sys.stdout.isatty()
    click.echo(f"{plain(str(named.path))}: {size:,} bytes" + (f"  ({named.signature})" if named.signature else ""))
    if foreign is not None:
        click.echo(click.style(str(foreign), bold=True))
    tint = {"accept": "green", "reject": "red"}.get(judgement.verdict, "yellow")
    rule = f" {judgement.rule} ({judgement.aspect}): {judgement.detail}" if judgement.rule else ""
    click.echo(f"the format: {click.style(judgement.verdict, fg=tint)}{rule}")
    sentence = _sentence(judgement.rule)
    if sentence:
        click.echo(f'  the text says: "{sentence}"')
    click.echo("")
    if foreign is not None and judgement.rule == "framing.header-limit":
        # The first bytes of another format are no length of a header.
        for line in show.hexdump(data, (0, min(size, _FOREIGN_SHOWN)), None, colour):
            click.echo(line)
        return
    for line in show.lines(data, size, judgement.span, width=width, colour=colour):
        click.echo(line)
    if judgement.header is not None:
        click.echo("")
        for line in show.table(judgement.header, width=width):
            click.echo(line)


def _sentence(rule: str) -> str:
    return RULES.get(rule) or UNSPECIFIED.get(rule.removeprefix("unspecified."), "")
