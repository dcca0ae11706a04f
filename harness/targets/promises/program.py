"""The language of target ``promises``: tensors and metadata for writers, and questions about files and public objects.

Each question is a Python expression over helpers of :mod:`harness.targets.promises.kit`. The program also has the right answers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from harness.programs.arrays import BACKENDS
from harness.programs.steps import Kind, Step, Vocabulary
from harness.targets.promises.kit import SIZES

#: Names by number. Their order differs by character, by byte, by length and by case.
NAMES = ("a", "b", "c", "", "B", "a.b", "a0", "a10", "a2", "é", "\uffff", "\U0001f917", "z" * 40, 'q"', "\x7f", "~")
SHAPES: tuple[list[int], ...] = ([4], [], [1], [3, 2], [0], [5, 2], [2, 0, 2], [1, 1, 6], [16], [7, 2])
#: dtypes by number, those of numpy first.
NUMPY = ("F32", "U8", "I64", "F16", "BOOL", "F64", "I8", "U16", "I16", "I32", "U32", "U64", "C64")
DTYPES = (*NUMPY, *(name for name in SIZES if name not in NUMPY))
#: More than one entry comes in an order of chance, which is the matter of target ``writers``.
METADATA: tuple[dict[str, str] | None, ...] = (None, {"format": "pt"}, {}, {"é": "\n"}, {"": "x" * 9}, {"a": '"'})
MOST_TENSORS = 6

#: Ways to write: the source, and the parts of the parser that each needs.
WRITERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "save": ("safetensors.numpy.save({arrays}, METADATA)", ()),
    "serialize": ("safetensors.serialize({specs}, METADATA)", ("TensorSpec",)),
    "save_file": ("to_file(safetensors.numpy.save_file, {arrays}, METADATA)", ()),
    "serialize_file": ("to_file(safetensors.serialize_file, {specs}, METADATA)", ("TensorSpec",)),
}
#: Questions about a written file, by kind: the source around the writer, and the right answer.
WRITTEN = {
    "header": ("data_start({raw}) % 8", "0"),
    "elements": ("unaligned({raw})", "[]"),
    "order": ("disordered({raw})", "''"),
    "spelling": ("unusual({raw})", "''"),
    "again": ("{raw} == {raw}", "True"),
    "insertion": ("{raw} == {reversed}", "True"),
    "writer": ("{raw} == {other}", "True"),
}

#: Objects of the top level, which pickle must find by name.
PUBLIC = (
    "TensorSpec", "safe_open", "SafetensorError", "serialize", "serialize_file", "deserialize", "numpy.save",
    "numpy.save_file", "numpy.load", "numpy.load_file",
)  # fmt: skip
_OPEN = "safetensors.safe_open(path, 'numpy'{backend})"
_HANDLE = "handle(safetensors._safe_open_handle, path{backend})"
_SPEC = "safetensors.TensorSpec(dtype={dtype!r}, shape=[3, 2], data_ptr=4096, data_len={size})"
#: Names of tensors in the file of objects, each with the number of its rows; None where it has no dimension.
ROWS: dict[str, int | None] = {"three": 3, "one": 1, "empty": 0, "scalar": None, "many": 40}
#: Objects by number: the source, and the expression for the parts of one object ``x``.
OBJECTS: dict[str, tuple[str, str]] = {
    "file": (_OPEN, "x.keys()"),
    "slice": (_OPEN + ".get_slice({row!r})", "(x.get_shape(), x.get_dtype())"),
    "spec": (_SPEC, "(x.dtype, x.shape, x.data_ptr, x.data_len)"),
    "handle": (_HANDLE, "x.keys()"),
    "error": ("safetensors.SafetensorError('a', 1)", "(x.args, str(x))"),
    "keys": (_OPEN + ".keys()", "x"),
    "metadata": (_OPEN + ".metadata()", "x"),
}
_NEEDS = {"spec": ("TensorSpec",), "handle": ("_safe_open_handle",)}
_HELD = ("file", "slice", "handle")
COPIES = ("copy", "deepcopy", "pickle")
QUESTIONS = ("repr", "str", "hash", "bool", "eq", "ne", "dir")
STORIES = ("pass", "error", "base", "twice", "nested")

#: Values of documented type: the source, and the type in the form of :func:`harness.targets.promises.kit.shaped`.
TYPES: dict[str, tuple[str, str]] = {
    "keys": (_OPEN + ".keys()", "[str]"),
    "offset_keys": (_OPEN + ".offset_keys()", "[str]"),
    "metadata": (_OPEN + ".metadata()", "{str: str}"),
    "get_tensor": (_OPEN + ".get_tensor({row!r})", "numpy.ndarray"),
    "get_tensors": (_OPEN + ".get_tensors()", "{str: numpy.ndarray}"),
    "load_file": ("safetensors.numpy.load_file(path{backend})", "{str: numpy.ndarray}"),
    "load": ("safetensors.numpy.load(FILE)", "{str: numpy.ndarray}"),
    "deserialize": ("safetensors.deserialize(FILE)", "[(str, {str: object})]"),
    "serialize": ("safetensors.serialize({{}})", "bytes"),
    "save": ("safetensors.numpy.save({{}})", "bytes"),
    "spec.dtype": (_SPEC + ".dtype", "str"),
    "spec.shape": (_SPEC + ".shape", "[int]"),
    "spec.data_ptr": (_SPEC + ".data_ptr", "int"),
    "spec.data_len": (_SPEC + ".data_len", "int"),
    "version": ("safetensors.__version__", "str"),
}
#: Names of the type stub of release 0.8.0.
STUB = (
    "__version__", "deserialize", "serialize", "serialize_file", "TensorSpec", "TensorSpec.__init__", "TensorSpec.data_len",
    "TensorSpec.data_ptr", "TensorSpec.dtype", "TensorSpec.shape", "safe_open", "safe_open.__init__", "safe_open.__enter__",
    "safe_open.__exit__", "safe_open.get_slice", "safe_open.get_tensor", "safe_open.get_tensors", "safe_open.keys",
    "safe_open.metadata", "safe_open.offset_keys", "SafetensorError", "SafetensorError.add_note",
    "SafetensorError.with_traceback",
)  # fmt: skip

VOCABULARY = Vocabulary(
    [
        Kind("tensor", 12, (range(len(DTYPES)), range(len(SHAPES)), range(len(NAMES)))),
        Kind("metadata", 2, (range(len(METADATA)),)),
        Kind("save", 8, (range(len(WRITTEN)),)),
        Kind("serialize", 10, (range(len(WRITTEN)),)),
        Kind("save_file", 1, (range(len(WRITTEN)),), expensive=True),
        Kind("serialize_file", 1, (range(len(WRITTEN)),), expensive=True),
        Kind("name", 2, (range(len(PUBLIC)),)),
        Kind("copy", 3, (range(len(OBJECTS)), range(len(COPIES)))),
        Kind("ask", 4, (range(len(OBJECTS)), range(len(QUESTIONS)), range(len(ROWS)))),
        Kind("len", 1, (range(2), range(len(ROWS)), range(2))),
        Kind("iterate", 2, (range(4), range(len(ROWS)), range(2))),
        Kind("with", 3, (range(len(STORIES)), range(2), range(2))),
        Kind("type", 3, (range(len(TYPES)), range(len(ROWS)), range(2))),
        Kind("spec", 3, (range(len(DTYPES)),)),
        Kind("stub", 3, (range(len(STUB) + 1),)),
    ],
    max_steps=12,
)
_TENSOR, _METADATA, *_ = range(len(VOCABULARY.kinds))


class Call(NamedTuple):
    """One question: the kind (a rule), its ``source``, the source of each right answer, and the words of its aspect.

    ``needs`` are the parts of the parser (:mod:`harness.parsers.api`) without which it cannot be asked.
    """

    kind: str
    source: str
    right: tuple[str, ...]
    about: str
    needs: tuple[str, ...] = ()


class Program(NamedTuple):
    """The tensors as dtype and shape by name, the metadata, and the questions."""

    tensors: dict[str, tuple[str, list[int]]]
    metadata: dict[str, str] | None
    calls: tuple[Call, ...]

    @property
    def numpy_has(self) -> bool:
        """Whether numpy has all dtypes."""
        return all(dtype in NUMPY for dtype, _ in self.tensors.values())


def decode(program: bytes) -> Program:
    """Decode a program. Never raises. Without tensors it has one."""
    tensors: dict[str, tuple[str, list[int]]] = {}
    metadata = None
    calls = []
    for step in VOCABULARY.decode(program):
        if step.kind == _TENSOR:
            dtype, shape = DTYPES[step.a % len(DTYPES)], SHAPES[step.b % len(SHAPES)]
            if dtype == "F4" and shape[-1:] and shape[-1] % 2:
                shape = [*shape[:-1], shape[-1] + 1]
            if dtype == "F4" and not shape:
                shape = [2]
            if len(tensors) < MOST_TENSORS:
                tensors[NAMES[step.c % len(NAMES)]] = (dtype, shape)
        elif step.kind == _METADATA:
            metadata = METADATA[step.a % len(METADATA)]
        else:
            calls.append(step)
    tensors = tensors or {NAMES[0]: (DTYPES[0], SHAPES[0])}
    only_specs = any(dtype not in NUMPY for dtype, _ in tensors.values())
    made = (_call(step, only_specs) for step in calls)
    return Program(tensors, metadata, tuple(call for call in made if call is not None))


@lru_cache(1 << 12)
def _call(step: Step, only_specs: bool) -> Call | None:
    """The question of a step; None where numpy lacks a dtype that it needs."""
    kind, a, b, c = VOCABULARY.kinds[step.kind].name, step.a, step.b, step.c
    if kind in WRITERS:
        return _written(kind, a, only_specs)
    backend = BACKENDS[c % 2]
    words = {"backend": "" if backend == "mmap" else ", backend='pread'", "row": tuple(ROWS)[b % len(ROWS)]}
    words |= {"dtype": "float32", "size": "24"}
    needs: tuple[str, ...] = ("safe_open(backend=)",) if backend == "pread" else ()
    if kind == "name":
        one = PUBLIC[a % len(PUBLIC)]
        return Call(kind, f"named(safetensors.{one})", ("'found'",), one, (one,) if one == "TensorSpec" else ())
    if kind in ("copy", "ask"):
        name = tuple(OBJECTS)[a % len(OBJECTS)]
        words |= {"row": tuple(ROWS)[c % len(ROWS)], "backend": ""}
        source, parts = OBJECTS[name]
        source = source.format(**words)
        needs = _NEEDS.get(name, ())
        if kind == "copy":
            how = COPIES[b % len(COPIES)]
            equal = ("'equal'",) if name not in (*_HELD, "spec") else ("'equal'", "'TypeError'")
            return Call(kind, f"copied({source}, {how!r}, lambda x: {parts})", equal, f"{how} {name}", needs)
        question = QUESTIONS[b % len(QUESTIONS)]
        answers = ("'right'", "'TypeError'") if question == "hash" else ("'right'",)
        return Call(kind, f"asked({source}, {question!r})", answers, f"{question} {name}", needs)
    if kind == "len":
        name = _HELD[a % 2]
        rows = len(ROWS) if name == "file" else ROWS[words["row"]]
        source = f"counted({OBJECTS[name][0].format(**words)}, {rows})"
        return Call(kind, source, ("'right'", "'TypeError'") if rows is not None else ("'TypeError'",), name, needs)
    if kind == "iterate":
        name = ("slice", "keys", "file", "metadata")[a % 4]
        rows = {"slice": ROWS[words["row"]], "metadata": 1}.get(name, len(ROWS))
        source = f"iterated({OBJECTS[name][0].format(**words)}, {rows or 0})"
        right: tuple[str, ...] = ("'ends'",) if name in ("keys", "metadata") else ("'ends'", "'none'")
        # Without a dimension there are no rows: numpy raises TypeError, and an index is one too many.
        right = ("'none'", "'TypeError'", "'SafetensorError'") if rows is None and name == "slice" else right
        return Call(kind, source, right, "scalar" if rows is None and name == "slice" else name, needs)
    if kind == "with":
        story = STORIES[a % len(STORIES)]
        opened = ("file", "handle")[b % 2]
        if opened == "handle":
            more: tuple[str, ...] = ("_safe_open_handle(backend=)",) if needs else ()
            needs = ("_safe_open_handle", *more)
        source = f"managed({OBJECTS[opened][0].format(**words)}, {story!r})"
        return Call(kind, source, ("'closed'",), f"{story} {opened}", needs)
    if kind == "type":
        name = tuple(TYPES)[a % len(TYPES)]
        source, shape = TYPES[name]
        own = {
            "get_tensors": "safe_open.get_tensors",
            "offset_keys": "safe_open.offset_keys",
            "load_file": "numpy.load_file(backend=)",
        }
        needs += (own[name],) if name in own and (name != "load_file" or needs) else ()
        needs += ("TensorSpec",) if name.startswith("spec.") else ()
        return Call(kind, f"shaped({source.format(**words)}, {shape})", ("'right'",), name, needs)
    if kind == "spec":
        return _spec(DTYPES[a % len(DTYPES)])
    number = a % (len(STUB) + 1)
    if number == len(STUB):
        return Call(kind, "unlisted(safetensors)", ("[]",), "unlisted")
    return Call(kind, f"unlike_stub(safetensors, {STUB[number]!r})", ("''",), STUB[number])


def _spec(dtype: str) -> Call:
    """The attributes of a spec: the dtype in the words of the format, and the logical shape."""
    size = 6 * SIZES[dtype] // 8
    given, shape = ("[3, 1]", "[3, 2]") if dtype == "F4" else ("[3, 2]", "[3, 2]")
    source = f"safetensors.TensorSpec(dtype=WORDS[{dtype!r}], shape={given}, data_ptr=4096, data_len={size})"
    about = "packed" if dtype == "F4" else "plain"
    parts = f"[(x.dtype, x.shape, x.data_ptr, x.data_len) for x in [{source}]]"
    return Call("spec", parts, (f"[({dtype!r}, {shape}, 4096, {size})]",), about, ("TensorSpec",))


def _written(writer: str, number: int, only_specs: bool) -> Call | None:
    """A question about the file of a writer."""
    kind = tuple(WRITTEN)[number % len(WRITTEN)]
    source, needs = WRITERS[writer]
    given = {"arrays": "arrays(TENSORS)", "specs": "specs(safetensors.TensorSpec, TENSORS)"}
    turned = {"arrays": "arrays(backwards(TENSORS))", "specs": "specs(safetensors.TensorSpec, backwards(TENSORS))"}
    if only_specs and writer.startswith("save"):
        return None
    other = "serialize" if writer == "serialize_file" or only_specs else "save"
    if kind == "writer" and other == writer:
        other = "save_file" if writer == "save" else "serialize_file"
    if kind == "writer":
        needs += WRITERS[other][1]
    question, right = WRITTEN[kind]
    text = question.format(
        raw=source.format(**given), reversed=source.format(**turned), other=WRITERS[other][0].format(**given)
    )
    return Call(kind, text, (right,), "", needs)
