"""Names that resemble another name: by case, Unicode form, prefix, digits, as a path, or as a field of the header."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_COMPOSED = str.maketrans("aeiouncAEIOUNC", "áéíóúñçÁÉÍÓÚÑÇ")
_ALIKE = str.maketrans("aceopxyABCEHKMOPTXY", "асеорхуАВСЕНКМОРТХУ")
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
_NEXT = str.maketrans("0123456789", "1234567890")
#: Names that readers keep for themselves: they may occur within names, and never alone.
_RESERVED = "__metadata__"


@lru_cache(1 << 12)
def resembling(name: str) -> tuple[str, ...]:
    """Other names that resemble ``name``, in a fixed order; none is ``__metadata__``."""
    composed = name.translate(_COMPOSED)
    head, dot, tail = name.rpartition(".")
    found = (
        # Case.
        name.swapcase(), name.upper(), name.lower(), name.title(),
        # Unicode forms: the composed and the decomposed spelling show alike (UAX 15). Other letters show alike too.
        unicodedata.normalize("NFC", composed), unicodedata.normalize("NFD", composed),
        unicodedata.normalize("NFD", name), unicodedata.normalize("NFKC", name), name.translate(_ALIKE), name.translate(_WIDE),
        name + "\u0301", name + "\u200b", "\ufeff" + name,
        # One is the beginning or the end of the other. torch.compile and DataParallel add such prefixes to names.
        name + "0", name + ".", name + ".weight", name[:-1], name[1:], f"model.{name}", f"module.{name}", f"_orig_mod.{name}", tail,
        # Digits, as names of layers have them: 1, 01, 10, 2.
        name.translate(_NEXT), name.replace("1", "01"), name.replace("1", "10"), name.replace("0", "00"), f"{name}.01", f"{name}.1",
        # Paths.
        f"./{name}", f"../{name}", f"/{name}", f"{name}/", name.replace(".", "/"), name.replace(".", "_"), name.replace(".", ".."),
        name.replace("/", "\\"), f"{head}{dot}.{dot}{tail}",
        # White space, and ends of strings in C.
        name + " ", " " + name, name + "\n", name + "\0", name + "\0" + name,
        # Fields.
        f"{_RESERVED}.{name}", _RESERVED + name, f"{name}.dtype", f"{name}.data_offsets", "dtype", "shape", "data_offsets",
        _RESERVED.upper(), _RESERVED[:-1], _RESERVED + " ", _RESERVED + "\0",
    )  # fmt: skip
    return tuple(other for other in dict.fromkeys(found) if other not in (name, _RESERVED))
