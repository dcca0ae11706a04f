"""Programs of target ``crate`` as Rust: for people, and for reproducers that need cargo alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.findings.crashes import Crash
from harness.parsers.crate_api.library import BOUNDS, BY_TUPLE, BY_VALUE, KINDS, NARROW, Item
from harness.parsers.registry import default_release
from harness.targets.crate.program import HANDED, Call, Program

_NAMES = {
    "safetensors::slice": ("slice_byte_ranges", "IndexOp", "TensorIndexer"),
    "safetensors::tensor": (
        "serialize", "serialize_to_file", "Dtype", "Metadata", "SafeTensors", "TensorInfo", "TensorView",
    ),
    "std": ("collections::HashMap", "num::NonZeroUsize", "ops::Bound"),
}  # fmt: skip


def item(one: Item) -> str:
    """One item of an index."""
    if one.kind != NARROW:
        return KINDS[one.kind].format(a=one.a, b=one.b)
    left, right = BOUNDS[one.left].format(one.a), BOUNDS[one.right].format(one.b)
    return f"TensorIndexer::Narrow({left}, {right}, NonZeroUsize::new({one.step}).unwrap())"


def index(call: Call) -> str:
    """An index: one item, a tuple, or a list of indexers."""
    words = [item(one) for one in call.items]
    if call.form == BY_VALUE:
        return words[0]
    if call.form == BY_TUPLE:
        return f"({', '.join(words)}{',' if len(words) == 1 else ''})"
    return f"&[{', '.join(map(_indexer, call.items))}]"


def _indexer(one: Item) -> str:
    text = item(one)
    return text if text.startswith("TensorIndexer") else f"TensorIndexer::from({text})"


def _bytes(data: bytes) -> str:
    text = "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else f"\\x{b:02x}" for b in data)
    return f'b"{text}"'


def _text(words: str) -> str:
    return '"' + "".join(
        one if 32 <= ord(one) < 127 and one not in '"\\' else f"\\u{{{ord(one):x}}}" for one in words
    ) + '"'  # fmt: skip


def _list(values: Iterable[int]) -> str:
    return f"vec![{', '.join(map(str, values))}]"


def _file(program: Program) -> str:
    return f"    let file: &[u8] = {_bytes(program.raw)};"


def _entries(program: Program) -> str:
    if program.metadata is None:
        return "None"
    rows = (f"({_text(key)}.to_string(), {_text(value)}.to_string())" for key, value in program.metadata.items())
    return f"Some(HashMap::from([{', '.join(rows)}]))"


def _view(program: Program, place: int) -> str:
    _, view = program.own[place % len(program.own)]
    return f"TensorView::new(Dtype::{view.dtype}, {_list(view.shape)}, {_bytes(view.data)})"


def _infos(program: Program) -> str:
    rows = (
        f"({_text(name)}.to_string(), TensorInfo {{ dtype: Dtype::{info.dtype}, shape: {_list(info.shape)},"
        f" data_offsets: ({info.begin}, {info.end}) }})"
        for name, info in program.infos
    )
    return f"Metadata::new({_entries(program)}, vec![{', '.join(rows)}])"


def lines(program: Program, call: Call) -> list[str]:
    """The statements of one call, each with a ``println!`` of its answer."""
    name, dtype, shape = "no such tensor", "F32", ()
    if 0 <= call.tensor < len(program.tensors):
        name, dtype, shape, _ = program.tensors[call.tensor]  # type: ignore[assignment]
    opened = "SafeTensors::deserialize(file).unwrap()"
    if call.kind == "deserialize":
        return [_file(program), '    println!("{:?}", SafeTensors::deserialize(file).map(|f| f.tensors()));']
    if call.kind == "read_metadata":
        return [_file(program), '    println!("{:?}", SafeTensors::read_metadata(file));']
    if call.kind == "tensor":
        return [_file(program), f'    println!("{{:?}}", {opened}.tensor({_text(name)}));']
    if call.kind == "slice":
        method = "slice" if call.form in (BY_VALUE, BY_TUPLE) else "sliced_data"
        return [
            _file(program),
            f"    let tensors = {opened};",
            f"    let tensor = tensors.tensor({_text(name)}).unwrap();",
            f"    match tensor.{method}({index(call)}) {{",
            '        Err(error) => println!("error: {error}"),',
            "        Ok(part) => {",
            '            println!("shape {:?}, {} bytes", part.newshape(), part.remaining_byte_len());',
            '            println!("{:?}", part.collect::<Vec<_>>().concat());',
            "        }",
            "    }",
        ]
    if call.kind == "slice_byte_ranges":
        text = f"slice_byte_ranges(Dtype::{dtype}, &{_list(shape)}, {index(call)})"
        return [f'    println!("{{:?}}", {text});']
    if call.kind == "display":
        return [f'    println!("{{}}", {_indexer(one)});' for one in call.items]
    if call.kind == "view":
        return [f'    println!("{{:?}}", {_view(program, call.tensor)});'] if program.own else []
    if call.kind == "metadata":
        return [f'    println!("{{:?}}", {_infos(program)});']
    if call.kind == "header":
        return [f'    println!("{{:?}}", serde_json::to_string(&{_infos(program)}.unwrap()));']
    if call.kind == "header_text":
        return [f'    println!("{{:?}}", serde_json::from_slice::<Metadata>({_bytes(program.header)}));']
    if call.kind == "header_into":
        return _into(call, f"serde_json::to_writer(&mut rest, &{_infos(program)}.unwrap())")
    if call.kind == "refusal_into" and program.own:
        refusal = f"{_view(program, call.tensor)}.unwrap_err()"
        return _into(call, f'std::io::Write::write_fmt(&mut rest, format_args!("{{}}", {refusal}))')
    if call.kind == "past_limit":
        return [
            f'    let long = HashMap::from([("long".to_string(), "x".repeat({call.room}))]);',
            f'    println!("{{:?}}", {_writer(call.place)}(Vec::<(&str, TensorView)>::new(), Some(long){_where(call.place)}));',
        ]
    if call.kind in ("serialize", "serialize_to_file"):
        return _written(program, call)
    return [f"    // {call.kind}: about all dtypes and errors"]


def _writer(place: str) -> str:
    return "serialize_to_file" if place else "serialize"


def _where(place: str) -> str:
    return f", std::path::Path::new({_text(place)})" if place else ""


def _into(call: Call, written: str) -> list[str]:
    return [
        f"    let mut buffer = [0u8; {call.room}];",
        "    let mut rest = &mut buffer[..];",
        f'    println!("{{:?}}", {written});',
        '    println!("{:?}", buffer);',
    ]


def _written(program: Program, call: Call) -> list[str]:
    rows = ", ".join(
        f"({_text(name)}, {_view(program, place)}.unwrap())" for place, (name, _) in enumerate(program.own)
    )
    return [
        f"    // handed over as {HANDED[call.form]}",
        f"    let tensors: Vec<(&str, TensorView)> = vec![{rows}];",
        f'    println!("{{:?}}", {call.kind}(tensors, {_entries(program)}{_where(call.place)}));',
    ]


def _main(blocks: Iterable[list[str]]) -> str:
    body = "\n".join("    {\n" + "\n".join("    " + line for line in block) + "\n    }" for block in blocks)
    return f"{_uses(body)}\nfn main() {{\n{body}\n}}\n"


def _uses(body: str) -> str:
    """The imports of a program: only names that it has, since older versions of the crate lack others."""
    words = {*re.findall(r"\w+", body), *(["IndexOp"] if ".slice(" in body else [])}
    lines = ""
    for module, names in _NAMES.items():
        if used := [name for name in names if name.rpartition(":")[2] in words]:
            lines += f"use {module}::{used[0] if len(used) == 1 else '{' + ', '.join(used) + '}'};\n"
    return lines


def explain(program: Program) -> str:
    """The calls as a Rust program."""
    return _main(lines(program, call) for call in program.calls)


# -- reproducers ----------------------------------------------------------------------------------------------


def reproducer(crash: Crash, program: Program) -> str:
    """A Rust program of the call that panics, and the assertion that it does not; "" for other findings."""
    name, _, words = crash.aspect.partition(": ")
    call = next((call for call in program.calls if call.kind == name), None)
    if crash.kind != "panic" or call is None or "View (" in HANDED[call.form if name.startswith("serialize") else 0]:
        return ""
    options = ', "--release"' if crash.builds == ("wheel",) else ""
    return f"""\
MAIN = r'''
{_main([lines(program, call)])}'''
status, _, said = cargo(MAIN, "{default_release()}"{options})
# It panics: {words.removeprefix("PanicException: ")}
assert status == 0
"""
