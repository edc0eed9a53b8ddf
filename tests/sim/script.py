"""What is done to a cluster, and when: a text that is drawn from a seed, kept when it found something, and shrunk.

::

    seed 17                     the rest of chance: delays, election timeouts, what of a write survives a crash
    nodes 3                     n0, n1, n2 vote at the beginning
    spares 1                    n3 waits to be taken in
    …
    120 append k0 a7 @1         at 120 ms: a client asks n1 to append a7 to the register k0
    180 crash leader torn       WHO is a number, or `leader`: who leads by then
    950 restart all

`ACTIONS` says what every action is. What makes no sense by then (restarting what runs) does nothing, so any line can go.
"""

from __future__ import annotations

import msgspec

from tests.sim.network import Weather

ACTIONS = {
    "read": "KEY @WHO: linearizable",
    "set": "KEY VALUE @WHO",
    "append": "KEY VALUE @WHO",
    "cas": "KEY VALUE @WHO: if it still holds what a client last heard that it holds",
    "crash": "WHO|all lost|torn|kept: power off; of what was written and not synced nothing, a part, everything is there again",
    "restart": "WHO|all",
    "stop": "WHO: as an operator does",
    "pause": "WHO: SIGSTOP; time goes on",
    "resume": "WHO|all",
    "halves": "0,1|2: who is before the bar, and all others, do not reach each other",
    "isolate": "WHO: reaches nobody, and nobody reaches it",
    "mute": "WHO: reaches nobody",
    "deaf": "WHO: nobody reaches it",
    "oneway": "FROM TO: this link only",
    "ring": "everybody reaches only the next and the one before",
    "bridge": "WHO: two halves that both reach this one",
    "mend": "the network is whole",
    "weather": "DROPPED DOUBLED LATE: of a thousand messages",
    "disk": "WHO full|broken|slow|well: ENOSPC or EIO for every write, or a sync takes 100 times as long",
    "flip": "WHO log|snapshot: a bit of what is on disk",
    "jump": "WHO MS: its clock is set forward",
    "members": "0,1,3: ask the leader that these vote, and no others",
    "add": "WHO: ask the leader that this one votes, too",
    "remove": "WHO: ask the leader that this one is no member any more",
    "learner": "WHO: ask the leader that this one learns",
    "transfer": "WHO: ask the leader to hand over",
    "snapshot": "WHO: take one",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    nodes: int = 3
    spares: int = 0
    dropped: int = 0  # the weather at the beginning, of a thousand messages
    doubled: int = 0
    late: int = 0
    sync_us: int = 1000  # the usual time of a sync
    drift: int = 0  # of the clocks, parts in a thousand: fast or slow by up to this
    lease_reads: bool = False
    snapshot_entries: int = 0  # a snapshot is due after so many; 0: only when told to
    priorities: bool = False  # of the members, drawn from the seed
    companion: bool = False  # the hosts have a second group
    wire: bool = False  # messages travel as the bytes of the product
    short: bool = False  # everything that has a limit has a small one: windows, messages, chunks, memory

    @property
    def weather(self) -> Weather:
        return Weather(self.dropped, self.doubled, self.late)


class Action(msgspec.Struct, frozen=True):
    at_ms: int
    verb: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((str(self.at_ms), self.verb, *self.arguments))


class Script(msgspec.Struct, frozen=True):
    settings: Settings
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        """Settings as they are by default are left out."""
        default = msgspec.structs.asdict(Settings(seed=-1))
        told = {
            name: int(value) for name, value in msgspec.structs.asdict(self.settings).items() if value != default[name]
        }
        return "".join(f"{name} {value}\n" for name, value in told.items()) + "".join(
            f"{action}\n" for action in self.actions
        )


def parse(text: str) -> Script:
    """The reverse of `str`; empty lines and what follows a `#` are skipped. ValueError with the line."""
    settings: dict[str, object] = {}
    actions: list[Action] = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0].isdigit() and len(words) > 1 and words[1] in ACTIONS:
            actions.append(Action(int(words[0]), words[1], tuple(words[2:])))
        elif len(words) == 2 and words[0] in Settings.__struct_fields__ and words[1].isdigit():
            settings[words[0]] = int(words[1])
        else:
            raise ValueError(f"neither a setting nor an action: {line!r}")
    return Script(
        msgspec.convert(settings, Settings, strict=False), tuple(sorted(actions, key=lambda action: action.at_ms))
    )
