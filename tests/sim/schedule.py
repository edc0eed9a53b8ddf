"""Draws a script from a seed. Every seed knows only some kinds of trouble (Groce's swarm testing): a cluster that is always
partitioned would never show what a membership change does to a paused leader.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import msgspec

from tests.sim.script import Action, Script, Settings

KEYS = ("k0", "k1", "k2")
STEPS = 60  # actions of a script, unless told otherwise
TROUBLES = (
    "crash",
    "churn",
    "pause",
    "partition",
    "weather",
    "disk",
    "flip",
    "jump",
    "members",
    "transfer",
    "snapshot",
)


def script_of(seed: int, *, steps: int = STEPS, nodes: int = 0) -> Script:
    """The same for the same arguments, in every process. `nodes` 0: drawn, too."""
    draw = random.Random(f"script {seed}")
    nodes_drawn = draw.choices((3, 5, 7), (65, 30, 5))[0]
    nodes = nodes or nodes_drawn
    troubles = [trouble for trouble in TROUBLES if draw.random() < 0.4] or [draw.choice(TROUBLES)]
    bad_weather = "weather" in troubles
    lease_reads = draw.random() < 0.4 and "jump" not in troubles  # a lease relies on clocks that run alike
    settings = Settings(
        seed=seed,
        nodes=nodes,
        spares=draw.choice((1, 2, 2)) if "members" in troubles else 0,
        dropped=draw.choice((0, 20, 100)) * bad_weather,
        doubled=draw.choice((0, 20, 50)) * bad_weather,
        late=draw.choice((0, 50, 200)) * bad_weather,
        sync_us=draw.choice((300, 1000, 5000)),
        drift=draw.choice((0, 10, 40)),
        lease_reads=lease_reads,
        snapshot_entries=draw.choice((0, 0, 3, 8, 20)),
        priorities=draw.random() < 0.2,
        short=draw.random() < 0.4,
        companion=random.Random(f"companion {seed}").random() < 0.2,
        wire=random.Random(f"wire {seed}").random() < 0.5,  # of its own chance: the script is what it was
    )
    return Script(settings, tuple(Schedule(draw, settings, troubles).actions(steps)))


class Trouble(msgspec.Struct):
    """What begins it, some milliseconds apart at most, and what ends it, each at some time."""

    begin: list[tuple[str, ...] | int]  # a number: so many milliseconds pass
    end: list[tuple[str, ...]] = []


class Schedule:
    """Keeps in mind what it has broken, so that most of the time a majority is well, and nothing stays broken for long."""

    def __init__(self, draw: random.Random, settings: Settings, troubles: list[str]) -> None:
        self._draw = draw
        self._settings = settings
        self._hosts = settings.nodes + settings.spares
        self._values = 0
        self._flipped = False
        kinds: dict[str, Callable[[], Trouble]] = {
            "crash": self._crash,
            "churn": self._churn,
            "pause": lambda: Trouble([("pause", self._who())], [("resume", "all")]),
            "partition": lambda: Trouble([self._partition()], [("mend",)]),
            "weather": self._weather,
            "disk": self._disk,
            "flip": self._flip,
            "jump": self._jump,
            "members": self._members,
            "transfer": lambda: Trouble([("transfer", self._number())]),
            "snapshot": lambda: Trouble([("snapshot", self._who())]),
        }
        self._troubles = [kinds[trouble] for trouble in troubles]

    def actions(self, steps: int) -> Iterator[Action]:
        draw = self._draw
        at_ms = 300 if draw.random() < 0.8 else 0  # most begin with a leader
        ends: list[tuple[int, tuple[str, ...]]] = []
        for _ in range(steps):
            ends.sort()
            if ends and ends[0][0] <= at_ms:
                _, words = ends.pop(0)
                yield action(at_ms, words)
            elif draw.random() < 0.3:
                trouble = draw.choice(self._troubles)()
                for step in trouble.begin:
                    if isinstance(step, int):
                        at_ms += step
                    else:
                        yield action(at_ms, step)
                        at_ms += draw.choice((1, 1, 2, 5))
                ends.extend((at_ms + self._duration_ms(), words) for words in trouble.end)
            else:
                for _ in range(draw.choice((1, 1, 1, 1, 1, 1, 1, 6))):  # now and then a crowd
                    yield action(at_ms, self._operation())
            at_ms += draw.choice((0, 0, 1, 5, 20, 60, 100, 150, 300))
        for end_ms, words in sorted(ends):
            at_ms = max(at_ms, end_ms)
            yield action(at_ms, words)

    def _duration_ms(self) -> int:
        return self._draw.choice((3, 20, 150, 400, 400, 800, 1500))

    def _operation(self) -> tuple[str, ...]:
        draw = self._draw
        kind = draw.choices(("read", "set", "append", "cas"), (35, 15, 35, 15))[0]
        key = KEYS[min(int(draw.expovariate(1.0)), len(KEYS) - 1)]
        at = f"@{draw.choice((self._number(), 'leader'))}"
        return (kind, key, at) if kind == "read" else (kind, key, self._value(kind), at)

    def _value(self, kind: str) -> str:
        self._values += 1
        return f"{kind[0]}{self._values}."

    def _number(self) -> str:
        return str(self._draw.randrange(self._hosts))

    def _who(self) -> str:
        return "leader" if self._draw.random() < 0.4 else self._number()

    def _crash(self) -> Trouble:
        draw = self._draw
        how = draw.random()
        if how < 0.2:
            return Trouble([("stop", self._who())], [("restart", "all")])
        survives = draw.choice(("lost", "torn", "kept"))
        if how < 0.4:  # while it recovers, or fetches a snapshot
            who, pause = self._number(), draw.choice((20, 400, 800))
            again = ("crash", who, draw.choice(("lost", "torn", "kept")))
            first: list[tuple[str, ...] | int] = [("crash", who, survives), pause, ("restart", who)]
            return Trouble([*first, draw.choice((1, 5, 20)), again], [("restart", "all")])
        who = "all" if how < 0.5 else self._who()
        return Trouble([("crash", who, survives)], [("restart", "all")])

    def _churn(self) -> Trouble:
        """A leader is gone as soon as it has something that few others have (Raft, figure 8)."""
        append: tuple[str, ...] = ("append", KEYS[0], self._value("append"), "@leader")
        match self._draw.choice(("crash", "power", "mute", "isolate", "pause", "muted", "duel")):
            case "crash":
                return Trouble([append, ("crash", "leader", "kept")], [("restart", "all")])
            case "power":
                return Trouble([append, ("crash", "all", "lost")], [("restart", "all")])
            case "pause":
                return Trouble([append, ("pause", "leader")], [("resume", "all")])
            case "muted":
                return Trouble([("mute", "leader"), append], [("mend",)])
            case "duel":
                return Trouble(self._duel(append), [("mend",)])
            case how:
                return Trouble([append, (how, "leader")], [("mend",)])

    def _duel(self, append: tuple[str, ...]) -> list[tuple[str, ...] | int]:
        """Two leaders, each with an entry that nobody else has; then one of them leads again, and then the other one."""
        pause = self._draw.choice((300, 500, 700))
        first: list[tuple[str, ...] | int] = [("mute", "leader"), append, pause]
        second: list[tuple[str, ...] | int] = [
            ("mute", "leader"),
            (*append[:2], self._value("append"), append[3]),
            ("pause", "leader"),
            ("mend",),
            pause,
        ]
        return [*first, *second, ("isolate", "leader"), ("resume", "all"), pause]

    def _partition(self) -> tuple[str, ...]:
        draw = self._draw
        kind = draw.choice(("halves", "halves", "isolate", "mute", "deaf", "oneway", "ring", "bridge"))
        match kind:
            case "halves":
                sides = [draw.random() < 0.5 for _ in range(self._hosts)]
                halves = (",".join(str(n) for n, side in enumerate(sides) if side is half) for half in (True, False))
                return (kind, "|".join(halves))
            case "oneway":
                return (kind, self._who(), self._number())
            case "ring":
                return (kind,)
            case _:
                return (kind, self._who())

    def _weather(self) -> Trouble:
        worse = [str(self._draw.choice((0, 50, 300))) for _ in range(3)]
        settings = self._settings
        usual = (str(settings.dropped), str(settings.doubled), str(settings.late))
        return Trouble([("weather", *worse)], [("weather", *usual)])

    def _disk(self) -> Trouble:
        who = self._number()
        how = self._draw.choice(("full", "broken", "slow", "slow"))
        return Trouble([("disk", who, how)], [("disk", who, "well")])

    def _flip(self) -> Trouble:
        # A log with a flipped bit is no log any more: that costs one member, and no cluster survives more than a minority.
        settings = self._settings
        spared = self._flipped or settings.spares
        what = "snapshot" if spared else self._draw.choice(("log", "snapshot"))
        self._flipped = self._flipped or what == "log"
        return Trouble([("flip", self._number(), what)])

    def _jump(self) -> Trouble:
        return Trouble([("jump", self._who(), str(self._draw.choice((50, 150, 1000, 60_000))))])

    def _members(self) -> Trouble:
        draw = self._draw
        if draw.random() < 0.5:
            return Trouble([(draw.choice(("add", "remove", "remove", "learner")), self._who())])
        nodes = self._settings.nodes
        if draw.random() < 0.3:  # few stay, and the moment in which some know of it is the one to be cut in two
            voters = ",".join(("leader", *map(str, range(nodes, self._hosts))))
            return Trouble([("members", voters), draw.choice((0, 2, 5, 10)), ("halves", f"{voters}|")], [("mend",)])
        count = draw.randint(2 if nodes == 3 else 3, self._hosts)
        change = ("members", ",".join(map(str, sorted(draw.sample(range(self._hosts), count)))))
        return Trouble([change, self._partition()], [("mend",)]) if draw.random() < 0.3 else Trouble([change])


def action(at_ms: int, words: tuple[str, ...]) -> Action:
    return Action(at_ms, words[0], words[1:])
