from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.waiting import children, ended, wait_until


def test_the_first_true_answer_is_given() -> None:
    answers = iter(["", "", "third", "fourth"])
    paused: list[float] = []
    assert wait_until(lambda: next(answers), what="an answer", pause=paused.append) == "third"
    assert len(paused) == 2


def test_waiting_in_vain_names_what_was_waited_for() -> None:
    with pytest.raises(AssertionError, match="waited 0 s in vain: a miracle"):
        wait_until(lambda: False, timeout=0.0, what="a miracle")


def test_an_exception_of_the_condition_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 // 0, what="no division")


def test_a_child_is_found_by_its_command_and_has_ended_before_it_is_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "input('a word')"], stdin=subprocess.PIPE) as child:
        assert wait_until(lambda: children(os.getpid(), "a word"), what="the child's command") == [child.pid]
        assert children(os.getpid(), "another word") == []
        assert not ended(child.pid)
        child.kill()
        wait_until(lambda: ended(child.pid), what="the child is killed")
        assert child.returncode is None
    assert ended(child.pid)
