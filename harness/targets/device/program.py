"""The language of target ``device``: valid and invalid values of ``device`` and ``framework``, and the calls that take them.

Steps ``name``, ``number`` and ``odd`` set the value for the calls after them. It is "cpu" at first. ``tensor`` sets the file that they
read, and ``redirect`` whether accelerators are redirected to the CPU.
"""

from __future__ import annotations

import operator
import re
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy

from harness.format.dtypes import DTYPE_BITS
from harness.programs import arrays
from harness.programs.arrays import BACKENDS, SHAPES, Tensors
from harness.programs.scripts import Index
from harness.programs.steps import Kind, Step, Vocabulary

#: The file that calls read before a step ``tensor``.
FILE: Tensors = (("a", "F32", (2, 3), 0), ("b", "U8", (4,), 1))

#: Types of devices in torch and in the documentation of the binding; then, from :data:`REAL` on, other words.
TYPES = ("cuda", "cpu", "mps", "npu", "xpu", "xla", "mlu", "musa", "hpu", "CUDA", "", "gpu", "cuda ", "cud", "cudá", "auto")  # fmt: skip
REAL = 9
#: Endings after the type, each with its word in signatures.
INDICES: tuple[tuple[str, str], ...] = (
    ("", "plain"), (":0", "index"), (":1", "index"), (":127", "index"), (":-1", "negative"), (":x", "letters"),
    (":", "empty"), (":+1", "plus-sign"), (":01", "leading-zero"), (": 1", "space"), (":1 ", "space"), (":0:0", "two-indices"),
    (":1.0", "fraction"), (f":{2**63 - 1}", "huge"), (f":{2**64 - 1}", "huge"), (f":{2**64}", "past-64-bits"),
    (f":{10**40}", "past-64-bits"), (":0x1", "hexadecimal"), (":1_0", "underscore"), (":\u0661", "other-digits"),
    (":1\0", "nul"), ("0", "no-colon"), ("::1", "two-colons"), (":1e3", "exponent"),
)  # fmt: skip
#: The type of a name; from :data:`_STRINGS` on no string.
HANDED = ("{!r}", "str({!r})", "Word({!r})", "numpy.str_({!r})", "{!r}.encode()", "[{!r}]", "({!r},)", "bytearray({!r}.encode())")  # fmt: skip
_STRINGS = 4
NUMBERS = ("0", "1", "-1", "127", "128", "2**31", "2**32", "2**63-1", "2**63", "2**64-1", "2**64", "-2**63", "10**40")
TYPED = ("{}", "int({})", "numpy.int64({})", "numpy.uint8({})", "Index({})", "bool({})", "float({})")
_INTEGERS = 5
ODD = (
    "None", "...", "1.5", "b'cpu'", "{}", "{'cpu': 0}", "object()", "int", "'cuda', 0", "float('nan')", "1j", "lambda: 'cpu'",
)  # fmt: skip

#: Dtypes by number: those that torch has.
DTYPES = tuple(name for name in arrays.DTYPES if not name.startswith("F6"))
#: Indices of parts by number.
PARTS = ("...", "0", "1:", ":1", "::2", "()", "-1", ":0")
#: Words for frameworks, each with the framework as :data:`FRAMEWORKS` and modules name it; "" for none.
WORDS: tuple[tuple[str, str], ...] = (
    ("pt", "pt"), ("torch", "pt"), ("pytorch", "pt"), ("np", "numpy"), ("numpy", "numpy"), ("tf", "tensorflow"),
    ("tensorflow", "tensorflow"), ("jax", "jax"), ("flax", "jax"), ("mlx", "mlx"), ("paddle", "paddle"), ("", ""), ("PT", ""),
    ("Torch", ""), ("pt ", ""), ("keras", ""), ("onnx", ""), ("cpu", ""),
)  # fmt: skip
#: The words of the documentation.
DOCUMENTED = ("pt", "tf", "flax", "numpy")

# Default values: plain names, "cpu" half of the time, and torch, because numpy has no devices.
_WORDS = (*[1] * 3, *range(REAL)), (0, 0, 0, 1), (0, 0, 0, 2)
VOCABULARY = Vocabulary(
    [
        Kind("name", 6, (range(REAL), (0, 0, 1, 2, 4, 5, 7, 8), (0, 0, 0, 2)), default_values=_WORDS),
        Kind("number", 2, (range(6), (0, 0, 2, 3))),
        Kind("odd", 1, (range(len(ODD)),), always_invalid=True),
        Kind("open", 4, ((0, 1), (0, 1)), default_values=((1,), (0, 1))),
        Kind("load_file", 3, ((0, 1),)),
        Kind("tensor", 2, (range(len(DTYPES)), range(20))),
        Kind("redirect", 2, ((0, 0, 0, 1),)),
        Kind("part", 3, ((0, 1), range(len(PARTS)))),
        Kind("framework", 1, (range(len(WORDS)), (0, 1))),
    ],
    max_steps=12,
)
_NAME, _NUMBER, _ODD_VALUE, _OPEN, _LOAD, _TENSOR, _REDIRECT, _PART, _FRAMEWORK = range(len(VOCABULARY.kinds))
#: Frameworks of ``open``, by their names in ``safe_open``.
FRAMEWORKS = ("numpy", "pt")

# The syntax of torch: a type, and an index without sign or leading zero.
_WORD = re.compile(rf"(?:{'|'.join(TYPES[:REAL])})(?::(?:0|[1-9][0-9]*))?")


class Word(str):
    """A subclass of str."""

    __slots__ = ()


class Given(NamedTuple):
    """A value of ``device``: its source, its value, and the word of its form in signatures.

    ``place`` is the type of the device that it names: "cpu", an accelerator, "number", or "" for none. ``known`` says
    whether the documentation has it. Then a framework with such devices must not refuse it.
    """

    source: str
    value: Any
    form: str
    place: str
    known: bool


class Call(NamedTuple):
    """One call: ``open``, ``load_file``, ``part`` or ``framework``, for a framework, with a backend.

    ``file`` is the file that it reads, and ``redirected`` says whether accelerators are redirected. ``subscript`` is that of a part,
    and ``word`` the word for the framework. ``plain`` is the answer of the same call for the CPU, where it is needed and there is one.
    """

    kind: str
    framework: str
    backend: str
    given: Given
    file: Tensors = FILE
    redirected: bool = False
    subscript: str = ""
    word: str = ""
    plain: Any = None

    @property
    def function(self) -> str:
        """The function for signatures: all calls but ``load_file`` are about ``safe_open``."""
        return "load_file" if self.kind == "load_file" else "open"

    @property
    def compared(self) -> bool:
        """Whether the answer is to be that of the CPU. Else the file tells it."""
        return self.framework == "pt" and (self.kind == "part" or self.file != FILE)


CPU = Given("'cpu'", "cpu", "plain", "cpu", known=True)


@lru_cache(1 << 14)
def _given(step: Step) -> Given | None:
    """The value of a step; None where it does not exist in Python (``numpy.uint8(-1)``)."""
    if step.kind == _NAME:
        text, form = INDICES[step.b % len(INDICES)]
        kind = TYPES[step.a % len(TYPES)]
        name = kind + text
        handed = step.c % len(HANDED)
        source = HANDED[handed].format(name)
        right = _WORD.fullmatch(name) is not None and handed < _STRINGS
        form = form if handed < _STRINGS else "no-string"
        if kind not in TYPES[:REAL]:
            form = "no-such-kind"
        # mps and cpu have one device, and torch counts devices in seven bits.
        known = right and form in ("plain", "index") and int(text[1:] or 0) == 0
        return Given(source, _value(source), form, kind if right else "", known)
    if step.kind == _NUMBER:
        source = TYPED[step.b % len(TYPED)].format(NUMBERS[step.a % len(NUMBERS)])
        value = _value(source)
        if value is None:
            return None
        whole = step.b % len(TYPED) < _INTEGERS
        number = operator.index(value) if whole else -1
        right = 0 <= number < 1 << 64
        form = "number" if right else "no-number"
        if whole and not right:
            form = "negative-number" if number < 0 else "past-64-bits"
        return Given(source, value, form, "number" if right else "", known=number == 0)
    source = ODD[step.a % len(ODD)]
    none = source == "None"
    return Given(source, _value(source), "none" if none else "odd-type", "cpu" if none else "", known=False)


def _value(source: str) -> Any:
    try:
        return eval(source, {"numpy": numpy, "Word": Word, "Index": Index})  # noqa: S307 - text of the tables above
    except (ValueError, OverflowError, TypeError):
        return None


def _file(dtype: str, shape: tuple[int, ...]) -> Tensors:
    """A file of one tensor. Elements of less than a byte must fill whole bytes."""
    shape = (*shape, 2) if DTYPE_BITS[dtype] * prod(shape) % 8 else shape
    return (("a", dtype, shape, 0),)


#: The calls of a program.
Program = tuple[Call, ...]


def decode(program: bytes) -> Program:
    """The calls of a program. Never raises."""
    given, file, redirected = CPU, FILE, False
    calls: list[Call] = []
    for step in VOCABULARY.decode(program):
        if step.kind == _OPEN:
            framework, backend = FRAMEWORKS[step.a % 2], BACKENDS[step.b % 2]
            read = file if framework == "pt" else FILE
            calls.append(Call("open", framework, backend, given, read, redirected))
        elif step.kind == _LOAD:
            calls.append(Call("load_file", "pt", BACKENDS[step.a % 2], given, file, redirected))
        elif step.kind == _PART:
            index = PARTS[step.b % len(PARTS)]
            calls.append(Call("part", "pt", BACKENDS[step.a % 2], given, file, redirected, index))
        elif step.kind == _FRAMEWORK:
            word, framework = WORDS[step.a % len(WORDS)]
            calls.append(Call("framework", framework, BACKENDS[step.b % 2], given, FILE, redirected, word=word))
        elif step.kind == _TENSOR:
            file = _file(DTYPES[step.a % len(DTYPES)], SHAPES[step.b % len(SHAPES)])
        elif step.kind == _REDIRECT:
            redirected = not step.a % 2
        else:
            given = _given(step) or given
    return tuple(calls)
