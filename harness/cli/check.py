"""``harness check``: reads files with the judge and every parser that is built; a gate before loading a download."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from harness import foreign_files
from harness.cli import _options
from harness.errors import HarnessError
from harness.format.judge import Judgement, judge
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.replay.replay import Replay, Replayer
from harness.targets.files.on_disk import OpenFile, judge_file
from harness.triage import filing, inputs

#: Parsers read files up to this many bytes as a whole, and only the header of larger files.
WHOLE = 16 << 20
TIMEOUT_S = 60.0


@click.command(epilog="Example: harness check model-*.safetensors --json")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_options.PATH)
@click.option("--parser", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated. Default: all.")
@_options.as_json()
def command(files: tuple[Path, ...], names: tuple[str, ...], as_json: bool) -> int:
    """Read files with the independent judge of the format and with every parser that is built.

    Parsers run in child processes, so a file that kills or hangs a parser is reported, too. Exit status 0: every file is
    valid, and every parser agrees with the judge. Exit status 1: a file is refused, or a parser disagrees.
    """
    for path in files:
        inputs.size_of(path)  # all names are checked before the first read
    parsers = _parsers(names)
    replayers: dict[tuple[str, str], Replayer] = {}
    try:
        rows = [_check(path, parsers, replayers) for path in files]
    finally:
        for replayer in replayers.values():
            replayer.close()
    if as_json:
        _options.print_json(rows)
    else:
        for row in rows:
            _print(row)
    return int(not all(row["agreed"] and row["spec"]["verdict"] == "accept" for row in rows))


def _parsers(names: tuple[str, ...]) -> list[Parser]:
    if names:
        return [registry.find(name) for name in dict.fromkeys(names)]
    return [parser for parser in filing.builds("deserialize") if parser is not None]


def _check(path: Path, parsers: list[Parser], replayers: dict[tuple[str, str], Replayer]) -> dict[str, Any]:
    size = inputs.size_of(path)
    try:
        if size <= WHOLE:
            target, data = "deserialize", inputs.read_whole(path)
            judgement = judge(data)
        else:
            target, data = OpenFile.name, os.fsencode(path.resolve())
            judgement, _ = judge_file(os.fspath(path))
        foreign = foreign_files.of_file(path)
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}", hint="name a file that can be read") from error
    results: dict[str, Replay] = {}
    for parser in parsers:
        key = parser.name, target
        if key not in replayers:
            replayers[key] = Replayer(parser, target, memory_mb=4096, relations=False)
        results[parser.name] = replayers[key].run(data, TIMEOUT_S)
    return {**_row(path, judgement, results), "foreign": asdict(foreign) if foreign else None}


def _row(path: Path, judgement: Judgement, results: dict[str, Replay]) -> dict[str, Any]:
    expected = "reject" if judgement.verdict == "reject" else "accept"
    return {
        "file": str(path),
        "spec": {"verdict": judgement.verdict, "rule": judgement.rule, "detail": judgement.detail},
        "parsers": {
            name: {
                "outcome": result.outcome,
                "error": result.error,
                "findings": [judged.finding.summary for judged in result.findings],
            }
            for name, result in results.items()
        },
        "agreed": all(result.outcome == expected and not result.findings for result in results.values()),
    }


def _print(row: dict[str, Any]) -> None:
    spec = row["spec"]
    detail = f" {spec['rule']}: {spec['detail']}" if spec["rule"] else ""
    good = row["agreed"] and spec["verdict"] == "accept"
    click.echo(f"{row['file']}: {click.style('ok', fg='green') if good else click.style('NOT OK', fg='red')}")
    if row["foreign"]:
        click.echo(f"  {row['foreign']['what']}; {row['foreign']['advice']}")
    click.echo(f"  {'the format':<22} {spec['verdict']}{detail}")
    for name, result in row["parsers"].items():
        error = f": {result['error'][:200]}" if result["error"] else ""
        click.echo(f"  {name:<22} {result['outcome']}{error}")
        for summary in result["findings"]:
            click.echo(f"  {'':<22}   {summary[:200]}")
