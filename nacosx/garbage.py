"""The collector of cyclic garbage in a process that serves."""

from __future__ import annotations

import gc

# Objects made and still there before the young ones are looked through. Of what a request makes next to nothing is a cycle, and
# with Python's 700 the collector looks, under load, at requests that are merely under way, some thousand times a second.
YOUNG_MAX = 10_000


def settle() -> None:
    """The process is up: what lives now lives long, and the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])
    gc.enable()
