"""The rules of runs that their process does not survive: it dies, does not end, or runs out of memory."""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule, define
from harness.findings.severity import DENIAL, MEMORY_SAFETY
from harness.oracles.leaks import DOS

# An aspect is "SIGN", or "SIGN/STATE": of a file the state is the judge's word on it, of a program the call.
_WRITERS = ("save", "serialize", "null-pointer")
_MEMORY_SIGNS = ("SIGSEGV", "SIGBUS", "SIGILL", "AddressSanitizer")
_CUT = "A file that loses its end while it is mapped kills the process that reads it."


def _rule(kind: str, title: str, does: str, *, signs: bool = False) -> Rule:
    reading = f"Reading the file {does}. A person who supplies a file can stop the program that reads it."
    writing = f"Writing the caller's values {does}. A program that saves them stops there."
    cases = [Case("SIGBUS/*", why=_CUT, sentence="")] if signs else []
    cases += [Case(f"*/{word}*", why=writing, sentence="") for word in _WRITERS]
    cases += [Case(f"*{sign}*", MEMORY_SAFETY) for sign in _MEMORY_SIGNS if signs]
    cases += [Case("*", DENIAL)]
    return Rule(
        kind,
        "isolation",
        kind,
        MEMORY_SAFETY if signs else DENIAL,
        title=title,
        why=reading,
        sentence=DOS,
        should="the file is read or refused, and the process lives on",
        check="death",
        cases=tuple(cases),
    )


CRASH = _rule("crash", "The process dies of its input", "kills the process", signs=True)
HANG = _rule("hang", "The run does not end", "does not end")
MEMORY = _rule("memory", "Memory out of proportion to the input", "takes memory out of all proportion to it")
_RULES = {"crash": CRASH, "hang": HANG, "memory": MEMORY}
for _one in _RULES.values():
    # No oracle of a run in process reports them: the process that waits for the run does.
    define(_one)
_WORDS = {
    "crash": "the process died: {}",
    "hang": "the run did not end within its time limit",
    "memory": "the run asked for more memory than its limit",
}


def death(kind: str, sign: str, state: str = "", call: str = "") -> Finding:
    """The finding of a run that its process did not survive: ``kind`` is crash, hang or memory.

    ``sign`` says how the process ended (``SIGSEGV``, ``timeout``, ...), ``state`` is the second part of the aspect.
    ``call`` is the call of the program that ran, "" where none is known.
    """
    words = _WORDS[kind].format(sign)
    aspect = f"{sign}/{state}" if state else sign
    return Finding(_RULES[kind], aspect, f"{words}, in {call}" if call else words)
