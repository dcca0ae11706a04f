from __future__ import annotations

import pytest

from harness.targets.writers.program import Lazy


class Counted:
    asked = 0

    @Lazy
    def value(self) -> int:
        """How often it was worked out."""
        self.asked += 1
        if self.asked == 1:
            raise ValueError("not yet")
        return self.asked


def test_it_is_worked_out_once_for_each_object_and_again_after_an_error():
    one, other = Counted(), Counted()
    for each in (one, other):
        with pytest.raises(ValueError, match="not yet"):
            _ = each.value
        assert (each.value, each.value, each.asked) == (2, 2, 2)
    assert Counted.__dict__["value"].__doc__ == "How often it was worked out."
