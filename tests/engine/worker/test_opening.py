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
