"""Delta debugging on scripts that are never run."""

from __future__ import annotations

from tests.sim.schedule import script_of
from tests.sim.script import Script
from tests.sim.shrink import shrink


def test_what_the_failure_needs_is_left() -> None:
    script = script_of(3, steps=80)
    needed = {script.actions[number] for number in (3, 40, 41, 79)}
    short = shrink(script, lambda some: needed <= set(some.actions))
    assert set(short.actions) == needed
    assert short.actions == tuple(action for action in script.actions if action in needed)


def test_settings_become_calm_when_the_failure_does_not_need_them() -> None:
    script = next(script for script in map(script_of, range(100)) if script.settings.dropped and script.settings.drift)
    short = shrink(script, lambda some: some.settings.dropped > 0)
    assert short.settings.dropped == script.settings.dropped
    assert short.settings.drift == 0
    assert short.actions == ()


def test_the_tries_are_limited() -> None:
    tries: list[Script] = []

    def fails(script: Script) -> bool:
        tries.append(script)
        return False

    script = script_of(3, steps=80)
    assert shrink(script, fails, tries_max=20) == script
    assert len(tries) == 20
