"""The settings of the process that a call must leave alone: their values, what changed, and how to write them again."""

from __future__ import annotations

import gc
import locale
import operator
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy

from harness.targets.ambient.optimised import codes
from harness.targets.ambient.states import CHECK, SIGNAL, put_variable, umask


def settings() -> dict[str, Any]:
    """The aspects of the process that a call must leave alone, each by its name; see :func:`changed`."""
    place = os.stat(".")
    found: dict[str, Any] = {
        "umask": umask(),
        "directory": (place.st_dev, place.st_ino),
        "locale": locale.setlocale(locale.LC_ALL),
        "environment": dict(vars(os.environ)["_data"]),
        "warnings": list(warnings.filters),
        "gc": (gc.isenabled(), gc.get_threshold()),
        "switch interval": sys.getswitchinterval(),
        "digits of integers": sys.get_int_max_str_digits(),
        "trace": sys.gettrace(),
        "profile": sys.getprofile(),
        "interpreter": codes(),
        "stdout": (sys.stdout, sys.stderr),
        "byte order": sys.byteorder,
        "path": list(sys.path),
        "signal": (signal.getsignal(SIGNAL), signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "numpy errors": (numpy.geterr(), numpy.geterrcall(), numpy.getbufsize()),
        "numpy print options": numpy.get_printoptions(),
    }  # fmt: skip
    if (torch := sys.modules.get("torch")) is not None:
        found |= {
            "default device": str(torch.get_default_device()),
            "default dtype": torch.get_default_dtype(),
            "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
            "deterministic": (
                torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory,
            ),
            "autocast": torch.is_autocast_enabled("cpu"),
            "module params": (
                torch.__future__.get_swap_module_params_on_conversion(),
                torch.__future__.get_overwrite_module_params_on_conversion(),
            ),
            "torch random": torch.default_generator.get_state().numpy().tobytes(),
        }  # fmt: skip
    if (paddle := sys.modules.get("paddle")) is not None:
        found |= {
            "paddle default dtype": paddle.get_default_dtype(),
            "paddle grad mode": paddle.is_grad_enabled(),
            # No state of ours: in static mode paddle makes no tensors, and says so.
            "paddle mode": paddle.in_dynamic_mode(),
            "paddle device": paddle.get_device(),
            "paddle check of numbers": paddle.get_flags(CHECK),
        }
    return found


def _write_environment(values: dict[bytes, bytes]) -> None:
    for name in {*os.environb, *values}:
        put_variable(name, values.get(name))


def _write_warnings(filters: list[Any]) -> None:
    in_use: list[Any] = warnings.filters  # type: ignore[assignment]
    in_use[:] = filters


def _write_gc(given: tuple[bool, tuple[int, int, int]]) -> None:
    enabled, thresholds = given
    gc.set_threshold(*thresholds)
    (gc.enable if enabled else gc.disable)()


#: How to write the settings that a call may change for good.
_WRITERS: dict[str, Callable[[Any], Any]] = {
    "umask": os.umask,
    "locale": lambda name: locale.setlocale(locale.LC_ALL, name),
    "environment": _write_environment,
    "warnings": _write_warnings,
    "gc": _write_gc,
    "switch interval": sys.setswitchinterval,
    "byte order": lambda name: setattr(sys, "byteorder", name),
    "numpy errors": lambda given: (numpy.seterr(**given[0]), numpy.seterrcall(given[1]), numpy.setbufsize(given[2])),
    # Torch may be imported later than this module.
    "default dtype": lambda dtype: operator.methodcaller("set_default_dtype", dtype)(sys.modules["torch"]),
}


def restore(before: dict[str, Any], names: list[str]) -> None:
    """Write the settings of these names again where that can be done: so a call that changes one does so each time."""
    for name in names:
        if name in _WRITERS:
            _WRITERS[name](before[name])


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of the aspects that differ. A module that a call imports adds aspects, which do not count."""
    return [name for name, value in before.items() if after.get(name) != value]
