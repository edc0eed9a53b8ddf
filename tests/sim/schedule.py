"""Draws a script from a seed. Every seed knows only some kinds of trouble (Groce's swarm testing): a cluster that is always
partitioned would never show what a membership change does to a paused leader.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from tests.sim.script import Action, Script, Settings

KEYS = ("k0", "k1", "k2")
STEPS = 60  # actions of a script, unless told otherwise
TROUBLES = ("crash", "pause", "partition", "weather", "disk", "flip", "jump", "members", "transfer", "snapshot")


def script_of(seed: int, *, steps: int = STEPS, nodes: int = 0) -> Script:
    """The same for the same arguments, in every process. `nodes` 0: drawn, too."""
    draw = random.Random(f"script {seed}")
    nodes_drawn = draw.choices((3, 5, 7), (65, 30, 5))[0]
    nodes = nodes or nodes_drawn
    troubles = [trouble for trouble in TROUBLES if draw.random() < 0.4] or [draw.choice(TROUBLES)]
    bad_weather = "weather" in troubles
    lease_reads = draw.random() < 0.3
    settings = Settings(
        seed=seed,
        nodes=nodes,
        spares=draw.randint(1, 2) if "members" in troubles else 0,
        dropped=draw.choice((0, 20, 100)) * bad_weather,
        doubled=draw.choice((0, 20, 50)) * bad_weather,
        late=draw.choice((0, 50, 200)) * bad_weather,
        sync_us=draw.choice((300, 1000, 5000)),
        drift=draw.choice((0, 10, 40)),
        lease_reads=lease_reads,
        snapshot_entries=draw.choice((0, 5, 20)) if "snapshot" in troubles else 0,
    )
    if lease_reads and "jump" in troubles:
        troubles.remove("jump")  # a lease relies on clocks that run alike
    return Script(settings, tuple(Schedule(draw, settings, troubles).actions(steps)))


class Schedule:
    """Keeps in mind what it has broken, so that most of the time a majority is well, and nothing stays broken for long."""

    def __init__(self, draw: random.Random, settings: Settings, troubles: list[str]) -> None:
        self._draw = draw
        self._settings = settings
        self._hosts = settings.nodes + settings.spares
        self._values = 0
        self._flipped = False
        self._broken: list[Action] = []  # what ends a trouble, to be done some time
        kinds: dict[str, Callable[[], Iterator[tuple[str, ...]]]] = {
            "crash": self._crash,
            "pause": self._pause,
            "partition": self._partition,
            "weather": self._weather,
            "disk": self._disk,
            "flip": self._flip,
            "jump": self._jump,
            "members": self._members,
            "transfer": lambda: iter([("transfer", self._number())]),
            "snapshot": lambda: iter([("snapshot", self._who())]),
        }
        self._troubles = [kinds[trouble] for trouble in troubles]

    def actions(self, steps: int) -> Iterator[Action]:
        draw = self._draw
        at_ms = 300 if draw.random() < 0.8 else 0  # most begin with a leader
        heals: list[tuple[int, tuple[str, ...]]] = []
        for _ in range(steps):
            heals.sort()
            if heals and heals[0][0] <= at_ms:
                _, words = heals.pop(0)
                yield Action(at_ms, words[0], words[1:])
            elif draw.random() < 0.3:
                trouble = iter(draw.choice(self._troubles)())
                words = next(trouble)
                yield Action(at_ms, words[0], words[1:])
                heals.extend((at_ms + self._duration_ms(), healing) for healing in trouble)
            else:
                yield Action(at_ms, *self._operation())
            at_ms += draw.choice((0, 0, 1, 5, 20, 60, 100, 150, 300))
        for heal_ms, words in sorted(heals):
            at_ms = max(at_ms, heal_ms)
            yield Action(at_ms, words[0], words[1:])

    def _duration_ms(self) -> int:
        return self._draw.choice((20, 150, 400, 400, 800, 1500))

    def _operation(self) -> tuple[str, tuple[str, ...]]:
        draw = self._draw
        kind = draw.choices(("read", "set", "append", "cas"), (35, 15, 35, 15))[0]
        key = KEYS[min(int(draw.expovariate(1.0)), len(KEYS) - 1)]
        at = f"@{draw.choice((self._number(), 'leader'))}"
        if kind == "read":
            return kind, (key, at)
        self._values += 1
        return kind, (key, f"{kind[0]}{self._values}.", at)

    def _number(self) -> str:
        return str(self._draw.randrange(self._hosts))

    def _who(self) -> str:
        return "leader" if self._draw.random() < 0.4 else self._number()

    # Each trouble first yields what begins it, then what ends it.

    def _crash(self) -> Iterator[tuple[str, ...]]:
        survives = self._draw.choice(("lost", "torn", "kept"))
        if self._draw.random() < 0.15:
            yield ("crash", "all", survives)
            yield ("restart", "all")
        else:
            yield ("crash", self._who(), survives)
            yield ("restart", "all")

    def _pause(self) -> Iterator[tuple[str, ...]]:
        yield ("pause", self._who())
        yield ("resume", "all")

    def _partition(self) -> Iterator[tuple[str, ...]]:
        draw = self._draw
        kind = draw.choice(("halves", "halves", "isolate", "mute", "deaf", "oneway", "ring", "bridge"))
        match kind:
            case "halves":
                sides = [draw.random() < 0.5 for _ in range(self._hosts)]
                yield (
                    kind,
                    "|".join(",".join(str(n) for n, side in enumerate(sides) if side is s) for s in (True, False)),
                )
            case "oneway":
                yield (kind, self._who(), self._number())
            case "ring":
                yield (kind,)
            case _:
                yield (kind, self._who())
        yield ("mend",)

    def _weather(self) -> Iterator[tuple[str, ...]]:
        draw = self._draw
        yield ("weather", *(str(draw.choice((0, 50, 300))) for _ in range(3)))
        settings = self._settings
        yield ("weather", str(settings.dropped), str(settings.doubled), str(settings.late))

    def _disk(self) -> Iterator[tuple[str, ...]]:
        who = self._number()
        yield ("disk", who, self._draw.choice(("full", "broken", "slow", "slow")))
        yield ("disk", who, "well")

    def _flip(self) -> Iterator[tuple[str, ...]]:
        # A log with a flipped bit is no log any more: that costs one member, and no cluster survives more than a minority.
        if self._flipped or self._settings.spares:
            yield ("flip", self._number(), "snapshot")
        else:
            self._flipped = True
            yield ("flip", self._number(), self._draw.choice(("log", "snapshot")))

    def _jump(self) -> Iterator[tuple[str, ...]]:
        yield ("jump", self._who(), str(self._draw.choice((50, 150, 1000, 60_000))))

    def _members(self) -> Iterator[tuple[str, ...]]:
        draw = self._draw
        if draw.random() < 0.25:
            yield ("learner", self._number())
            return
        count = draw.randint(2 if self._settings.nodes == 3 else 3, self._hosts)
        yield ("members", ",".join(map(str, sorted(draw.sample(range(self._hosts), count)))))
