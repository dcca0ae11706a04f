"""The model of files and handles, by itself: nothing here runs the parser."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from harness.programs.steps import Step
from harness.programs.strategies import programs
from harness.targets.lifecycle import kit
from harness.targets.lifecycle import script as sources
from harness.targets.lifecycle.program import VOCABULARY, decode

step = VOCABULARY.step


def ends(*steps: Step) -> list[tuple[str, str]]:
    return [(call.kind, call.end) for call in decode(VOCABULARY.encode(steps)).calls]


def test_calls_on_what_is_not_there_are_left_out() -> None:
    assert ends(step("get_tensor"), step("exit"), step("read"), step("array"), step("again"), step("drop")) == []


def test_an_open_is_refused_where_the_file_was_cut_and_is_missing_where_it_was_unlinked() -> None:
    assert ends(step("cut"), step("open"))[-1] == ("open", "refused")
    assert ends(step("unlink"), step("open"))[-1] == ("open", "FileNotFoundError")
    assert ends(step("cut"), step("rewrite", 0, 2), step("open"))[-1] == ("open", "value")


def test_a_slice_may_outlive_its_handle_or_not() -> None:
    assert ends(step("open"), step("get_slice"), step("read"))[-1] == ("read", "value")
    assert ends(step("open"), step("get_slice"), step("exit"), step("read"))[-1] == ("read", "any")


def test_only_reads_past_the_last_page_of_a_mapping_are_hazards() -> None:
    long = step("rewrite", 0, 5)
    for backend, hazard in ((0, "SIGBUS/get_tensor"), (1, "")):
        cut = [long, step("open", 0, 0, backend), step("cut", 0, 1), step("get_tensor")]
        assert decode(VOCABULARY.encode(cut)).hazard == hazard
    # All but one byte is there, on a page that is: not a signal, but nothing to be given either.
    assert decode(VOCABULARY.encode([long, step("open"), step("cut", 0, 2), step("get_tensors")])).hazard == ""


def test_a_list_of_a_slice_reads_the_file_as_any_read_does() -> None:
    lists = step("misuse", 17, 1)
    for backend, hazard in ((0, "SIGBUS/misuse"), (1, "")):
        kept = [step("open", 0, 0, backend), step("get_slice")]
        assert decode(VOCABULARY.encode([*kept, step("cut"), lists])).hazard == hazard
        assert decode(VOCABULARY.encode([*kept, lists, step("cut")])).hazard == ""
    # Of a handle there is no list, and what else is done to a slice here reads nothing.
    for other in (step("misuse", 17, 0), step("misuse", 3, 1), step("misuse", 31, 1)):
        assert decode(VOCABULARY.encode([step("open"), step("get_slice"), step("cut"), other])).hazard == ""


def test_a_file_of_the_parser_s_own_is_no_hazard_until_it_is_cut() -> None:
    saved = [step("save", 0, 3), step("open")]
    for change, hazard in (
        (step("poke"), ""),
        (step("cut"), "SIGBUS/get_tensor"),
        (step("rewrite"), "SIGBUS/get_tensor"),
    ):
        assert decode(VOCABULARY.encode([*saved, change, step("get_tensor")])).hazard == hazard


def test_the_files_are_what_they_are_said_to_be() -> None:
    for number, raw in enumerate(kit.FILES):
        begin = 8 + int.from_bytes(raw[:8], "little")
        assert raw[begin:] == b"".join(array.tobytes() for array in kit.CONTENTS[number].values())


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(programs(VOCABULARY, max_steps=12))
def test_any_program_decodes_and_explains_and_its_reproducer_is_python(data: bytes) -> None:
    program = decode(data)
    compile(sources.explain(program), "explained", "exec")
    compile(sources.script(program).text, "script", "exec")
