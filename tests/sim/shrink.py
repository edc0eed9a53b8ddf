"""Makes a script that fails as short as it can be: Zeller's delta debugging over its actions, then over its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tests.sim.script import Action, Script

CALMER = {
    "dropped": 0, "doubled": 0, "late": 0, "drift": 0, "snapshot_entries": 0, "spares": 0, "sync_us": 1000,
    "priorities": False, "companion": False, "wire": False, "short": False,
}  # fmt: skip


def shrink(script: Script, fails: Callable[[Script], bool], *, tries_max: int = 600) -> Script:
    """`script` fails. What is returned fails, too; with every action of it left out alone, it does not (or the tries ran out).

    Every try is a run of the simulator; `tries_max` limits them.
    """
    tries = 0

    def still(shorter: Script) -> bool:
        nonlocal tries
        tries += 1
        return tries <= tries_max and fails(shorter)

    script = calmer(script, still)
    actions = fewer(script.actions, lambda some: still(Script(script.settings, tuple(some))))
    return calmer(Script(script.settings, tuple(actions)), still)


def fewer(actions: Sequence[Action], still: Callable[[Sequence[Action]], bool]) -> Sequence[Action]:
    size = max(1, len(actions) // 2)
    while actions:
        for start in range(0, len(actions), size):
            shorter = (*actions[:start], *actions[start + size :])
            if still(shorter):
                actions = shorter
                break
        else:
            if size == 1:
                break
            size = (size + 1) // 2
            continue
        size = max(1, min(size, len(actions) // 2))
    return actions


def calmer(script: Script, still: Callable[[Script], bool]) -> Script:
    for name, value in CALMER.items():
        if getattr(script.settings, name) != value:
            settings = msgspec.structs.replace(script.settings, **{name: value})
            if still(Script(settings, script.actions)):
                script = Script(settings, script.actions)
    return script
