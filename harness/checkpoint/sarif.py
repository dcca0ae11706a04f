"""Problems of checkpoints in SARIF 2.1.0, as a plain dictionary. A problem is a result at its file, its code the rule."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.checkpoint.problems import KINDS, Kind, Problem
from harness.report.sarif import MOST_RESULTS, MOST_TEXT, ROOT, SCHEMA
from harness.report.text import plain


def log(found: Sequence[Problem], failed: Sequence[str] = ()) -> dict[str, Any]:
    """The log of problems with one run. ``failed`` are messages on parsers that did not start. A result lies at a file below the current folder, or at its whole path."""
    errors = [*failed, *(f"{one.file}: {one.what}" for one in found if one.kind.unread)]
    notifications = [{"level": "error", "message": {"text": plain(error, MOST_TEXT)}} for error in errors]
    driver = {
        "name": "safetensors-harness check",
        "version": version("safetensors-harness"),
        "semanticVersion": version("safetensors-harness"),
        "shortDescription": {"text": "Judges safetensors files and checkpoints before they are loaded"},
        "rules": [_rule(kind) for kind in KINDS.values()],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "safetensors-harness-check/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder in which the check ran."}}},
        "invocations": [{"executionSuccessful": not errors, "toolExecutionNotifications": notifications}],
        "results": [_result(problem) for problem in found[:MOST_RESULTS]],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(kind: Kind) -> dict[str, Any]:
    words = f"{kind.title}. What to do: {kind.advice}."
    return {
        "id": kind.code,
        "name": kind.code,
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": words},
        "help": {"text": words},
        "defaultConfiguration": {"level": "error"},
    }


def _result(problem: Problem) -> dict[str, Any]:
    location = _location(problem.file)
    mark = hashlib.sha256(f"{problem.kind.code}\0{location['uri']}\0{problem.what}".encode("utf-8", "replace"))
    return {
        "ruleId": problem.kind.code,
        "ruleIndex": list(KINDS).index(problem.kind.code),
        "level": "error",
        "message": {"text": plain(f"{problem.what}. To do: {problem.advice or problem.kind.advice}.", MOST_TEXT)},
        "locations": [{"physicalLocation": {"artifactLocation": location, "region": {"startLine": 1}}}],
        "partialFingerprints": {"primaryLocationLineHash": f"{mark.hexdigest()[:16]}:1"},
    }


def _location(file: str) -> dict[str, Any]:
    path = os.path.normpath(os.path.join(Path.cwd(), file))
    inside = os.path.relpath(path)
    if inside.split(os.sep)[0] == os.pardir:
        return {"uri": "file://" + quote(os.fsencode(path))}
    return {"uri": quote(os.fsencode(inside)), "uriBaseId": ROOT}
