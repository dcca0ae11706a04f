"""What is worked out when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """A property that is worked out once for each object, and kept in its ``__dict__``.

    As ``functools.cached_property``, which until Python 3.11 takes a lock each time: dearer than most of what is asked here.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, one: Any, _: type | None = None) -> T:
        """The value; from the next time on Python finds it before it asks here. Raises what making it raises, each time."""
        made: T = self._make(one)
        one.__dict__[self._name] = made
        return made
