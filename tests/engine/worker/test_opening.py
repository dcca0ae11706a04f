from __future__ import annotations

import subprocess
import sys


def test_the_collector_passes_over_what_was_there_and_still_ends_cycles() -> None:
    script = (
        "import gc, weakref\nfrom harness.engine.worker.opening import collect_seldom\n"
        "class Ring: pass\n"
        "collect_seldom()\n"
        "before, rings = len(gc.get_objects()), []\n"
        "for _ in range(50_000):\n"
        "    ring = Ring(); ring.ring = ring; rings.append(weakref.ref(ring))\n"
        "print(gc.get_freeze_count(), before, sum(one() is not None for one in rings))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    frozen, looked_at, left = map(int, done.stdout.split())
    assert frozen > 10 * looked_at
    assert 0 < left < 25_000


def test_counters_of_python_code_have_the_same_numbers_in_every_process() -> None:
    script = (
        "import sys\nfrom harness.engine.worker.opening import load\nfrom harness.parsers import registry\n"
        "from harness.targets.registry import get_target\n"
        "held = [bytearray(size) for size in range(int(sys.argv[1]))]\n"
        "atheris, _ = load(registry.find(), get_target('numpy'))\n"
        "with atheris.instrument_imports(include=['safetensors']):\n"
        "    import safetensors.numpy as module\n"
        "codes = [f.__code__ for f in vars(module).values() if hasattr(f, '__code__') and f.__module__ == module.__name__]\n"
        "print([(code.co_code, [c for c in code.co_consts if isinstance(c, int)]) for code in codes])\n"
    )
    # Other objects beforehand: other addresses.
    seen = {
        subprocess.run([sys.executable, "-c", script, objects], check=True, capture_output=True, text=True).stdout
        for objects in ("1", "2000", "7000")
    }
    assert len(seen) == 1
    assert len(seen.pop()) > 1000
