"""How bad a finding is, in a few words that say what an attacker, or bad luck, gains by it."""

from __future__ import annotations

MEMORY_SAFETY = "memory safety"
DENIAL = "denial of service"
WRONG_DATA = "wrong data"
WRONG_EXCEPTION = "wrong exception"
SIDE_EFFECT = "side effect"
LENIENCY = "leniency"
#: The other way round: what the format allows is refused.
STRICTNESS = "strictness"

#: The worst first, with what each means.
SEVERITIES: dict[str, str] = {
    MEMORY_SAFETY: "the process reads or writes where it must not, or dies of it",
    DENIAL: "the process stops, hangs, or takes time or memory out of proportion to what it was given",
    WRONG_DATA: "something else is read or written than what is there, and nobody is told",
    WRONG_EXCEPTION: "an error that callers are not told to expect goes past the handlers they have",
    SIDE_EFFECT: "the data is right, and something beside it is not: a file's permissions or its order, a value of the caller's, the type of an answer",
    LENIENCY: "what the format forbids is accepted, so that two readers may see two files in one",
    STRICTNESS: "what the format allows is refused",
}

# What is wrong beside the data, by rule.
_BESIDE = (
    "resaved.argument", "roundtrip.left-over", "roundtrip.mode", "roundtrip.unstable", "torch.answer", "torch.changed",
    "torch.unstable",
)  # fmt: skip
_MEMORY_SIGNS = ("SIGSEGV", "SIGBUS", "SIGILL", "AddressSanitizer")


def severity(kind: str, rule: str, aspect: str) -> str:
    """The severity of a finding of this kind, rule and aspect, before a person looked at it."""
    if kind == "crash":
        return MEMORY_SAFETY if any(sign in aspect for sign in _MEMORY_SIGNS) else DENIAL
    # A panic is no Exception: it goes past every handler, and takes the program down.
    if kind in ("hang", "memory", "time", "panic"):
        return DENIAL
    if kind == "contract":
        return WRONG_EXCEPTION
    if rule in ("resaved.refused", "device.refused", "torch.refused", "torch.unread") or aspect.startswith(
        ("outcome:", "tensor:", "nothing:")
    ):
        return STRICTNESS
    if rule in _BESIDE:
        return SIDE_EFFECT
    if kind == "roundtrip":
        return WRONG_DATA
    if rule == "refused":
        return STRICTNESS
    if aspect.startswith("accepted") or rule == "device.accepted":
        return LENIENCY
    if rule.startswith("metamorphic.") and aspect.startswith("refused"):
        return STRICTNESS
    return WRONG_DATA
