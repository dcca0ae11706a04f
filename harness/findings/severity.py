"""Severities: how bad a finding is, in a few words that say what an attacker, or bad luck, gains by it."""

from __future__ import annotations

MEMORY_SAFETY = "memory safety"
DENIAL = "denial of service"
WRONG_DATA = "wrong data"
WRONG_EXCEPTION = "wrong exception"
SIDE_EFFECT = "side effect"
LENIENCY = "leniency"
STRICTNESS = "strictness"

#: The worst first, each with its meaning.
SEVERITIES: dict[str, str] = {
    MEMORY_SAFETY: "the process reads or writes where it must not, or dies of it",
    DENIAL: "the process stops, hangs, or takes time or memory out of proportion to its input",
    WRONG_DATA: "other data is read or written than there is, and no error says so",
    WRONG_EXCEPTION: "an undocumented error passes the handlers that callers have",
    SIDE_EFFECT: "the data is right, but something beside it is not: a file's permissions or order, an argument, the type of an answer",
    LENIENCY: "the parser accepts a file that the format forbids, so two readers may see two files in one",
    STRICTNESS: "the parser refuses a file that the format allows",
}
