"""Programs of target ``sizes`` in words, and as Python."""

from __future__ import annotations

from harness.programs.scripts import Script
from harness.targets.sizes.program import Call, Content, Program

_SHOWN = 8


def explain(program: Program) -> str:
    """The content by its lengths, and the calls."""
    content = program.content
    lines = [
        f"# {tensor.name[:40]!r}: {tensor.dtype} {list(tensor.shape)!r:.60}, {tensor.size:,} bytes"
        for tensor in content.tensors[:_SHOWN]
    ]
    if len(content.tensors) > _SHOWN:
        lines.append(f"# and {len(content.tensors) - _SHOWN:,} more tensors")
    lines.append(f"# {content.size:,} bytes in all, {len(content.metadata):,} entries of metadata")
    if content.pad:
        lines.append(f"# {content.pad:,} spaces after the header of the file that is read")
    if content.whole:
        lines.append(f"# spaces up to {content.whole:,} bytes of header in the file that is read")
    lines += [call(content, one) for one in program.calls] or ["# no call"]
    return "\n".join(lines) + "\n"


def call(content: Content, one: Call) -> str:
    """The source of one call; ``arrays``, ``specs``, ``metadata``, ``data``, ``model`` and ``path`` stand for the content."""
    module = f"safetensors.{one.framework}" if one.framework else "safetensors"
    metadata = ", metadata" if content.metadata else ""
    backend = f', backend="{one.backend}"' if one.backend == "pread" else ""
    framework = "pt" if one.framework == "torch" else one.framework
    return {
        "safe_open": f'safe_open(path, framework="{framework}"{backend})  # {one.reading}',
        "load_file": f"{module}.load_file(path{backend})",
        "load": f"{module}.load(data)",
        "deserialize": "safetensors.deserialize(data)",
        "save": f"{module}.save(arrays{metadata})",
        "save_file": f"{module}.save_file(arrays, path{metadata})",
        "save_model": f"{module}.save_model(model, path{metadata})",
        "load_model": f"{module}.load_model(model, path{backend})",
        "serialize": f"safetensors.serialize(specs{metadata})",
        "serialize_file": f"safetensors.serialize_file(specs, path{metadata})",
    }[one.kind]


def script(program: Program) -> Script | None:
    """None: the content of a finding may take gigabytes, so its reproducer asks the harness."""
    return None
