"""A cluster of simulated hosts, and what a script does to it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable
from itertools import permutations
from random import Random

from nacosx._core.entry import Configuration
from tests.sim.client import Clients
from tests.sim.disk import Disk
from tests.sim.host import COMPANION, GROUP, Companion, Host, Surroundings
from tests.sim.laws import Laws, bare
from tests.sim.loop import MS, RATE, Agenda, ProcessClock, ProcessLoop
from tests.sim.network import FAIR, Network, Weather
from tests.sim.registers import Command
from tests.sim.script import Action, Script

TROUBLES = {"full": errno.ENOSPC, "broken": errno.EIO, "well": 0, "slow": 0}
OPERATIONS = ("read", "set", "append", "cas")


class Cluster:
    def __init__(
        self, script: Script, note: Callable[..., None], *, inner: bool = True, host_of: type[Host] = Host
    ) -> None:
        settings = script.settings
        self.script = script
        self.agenda = Agenda()
        draw = Random(f"cluster {settings.seed}")
        names = [f"n{number}" for number in range(settings.nodes + settings.spares)]
        disks = {name: Disk(Random(f"disk {settings.seed} {name}"), settings.sync_us) for name in names}
        self.laws = Laws(self.running, disks, inner=inner)
        second = {name: Disk(Random(f"companion {settings.seed} {name}"), settings.sync_us) for name in names}
        self._companions_laws = Laws(self.companions, second, inner=inner)
        self._companions_told: list[int] = []  # the numbers of their commands that somebody was told are done
        self._companions_number = 0
        self.network = Network(f"network {settings.seed}", self.agenda, settings.weather)
        laws = {GROUP: self.laws, COMPANION: self._companions_laws}
        around = Surroundings(settings.seed, self.agenda, self.network, laws, note)
        voters = Configuration(
            prioritised(names[: settings.nodes], draw) if settings.priorities else names[: settings.nodes]
        )
        self.hosts: dict[str, Host] = {}
        for number, name in enumerate(names):
            rate = RATE + draw.randint(-settings.drift, settings.drift) * RATE // 1000
            first = voters if number < settings.nodes else Configuration(())
            clock = ProcessClock(self.agenda, rate)
            clock.jumped_us = draw.randrange(1 << 40)  # its origin is arbitrary
            self.hosts[name] = host_of(
                name, around, disks[name], clock, first, settings, second[name] if settings.companion else None
            )
        around.stations.update(self.hosts)
        self.clients = Clients(self.agenda, self.laws, self.who, note)
        self._note = note
        self._verbs: dict[str, Callable[..., None]] = {
            "crash": self._crash,
            "restart": lambda who: self._each(who, Host.start),
            "stop": lambda who: self._each(who, Host.stop),
            "pause": lambda who: self._each(who, pause),
            "resume": lambda who: self._each(who, resume),
            "halves": self._halves,
            "isolate": lambda who: self._cut(self._links(self.who(who).id, out=True, into=True)),
            "mute": lambda who: self._cut(self._links(self.who(who).id, out=True)),
            "deaf": lambda who: self._cut(self._links(self.who(who).id, into=True)),
            "oneway": lambda source, to: self._cut([(self.who(source).id, self.who(to).id)]),
            "ring": self._ring,
            "bridge": self._bridge,
            "mend": self.network.mend,
            "weather": self._weather,
            "disk": self._disk,
            "flip": self._flip,
            "jump": self._jump,
            "members": self._members,
            "add": self._add,
            "remove": self._remove,
            "learner": self._learner,
            "transfer": self._transfer,
            "snapshot": self._snapshot,
        }

    # --- who ---------------------------------------------------------------------------------------------------------

    def running(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.started]

    def companions(self) -> list[Companion]:
        """The running members of the second group."""
        return [host.companion for host in self.running() if host.companion is not None]

    def leader(self) -> Host | None:
        leaders = [host for host in self.running() if host.leads]
        return max(leaders, key=lambda host: host.term, default=None)

    def who(self, word: str) -> Host:
        """`leader`: who leads the highest term, or else has seen it; `any`: the same for now; a number; an id."""
        if word in self.hosts:
            return self.hosts[word]
        if word.isdigit():
            return self.hosts[f"n{int(word) % len(self.hosts)}"]
        running = [host for host in self.running() if host.process and not host.process.paused]
        return self.leader() or max(running or self.hosts.values(), key=lambda host: host.seen_term)

    def _each(self, word: str, do: Callable[[Host], None]) -> None:
        for host in self.hosts.values() if word == "all" else [self.who(word)]:
            do(host)

    # --- running -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        for host in self.hosts.values():
            host.start()
        for action in self.script.actions:
            self.agenda.later(action.at_ms * MS, self.act, action)

    def act(self, action: Action) -> None:
        self._note("act", action.verb, *action.arguments)
        if action.verb in OPERATIONS:
            *arguments, who = action.arguments
            key, value = (*arguments, "")[:2]
            self.clients.begin(action.verb, key, value, who.removeprefix("@"))
            if action.verb != "read":
                self._tell_companion(key, value, who.removeprefix("@"))
        else:
            self._verbs[action.verb](*action.arguments)

    def stepped(self, process: ProcessLoop) -> None:
        """A process has done something: nothing may be wrong now."""
        for breach in (self.laws.breach, self._companions_laws.breach):
            if breach is not None:
                raise breach
        if process.failure is not None:
            raise AssertionError(process.failure)
        host = self.hosts[process.name]
        if host.process is process and host.started:
            self.laws.look(host)
            if host.companion is not None:
                self._companions_laws.look(host.companion)

    def heal(self) -> None:
        """Everything that can be well is well from now on."""
        self.network.mend()
        self.network.weather = FAIR
        for host in self.hosts.values():
            for member in host.members:
                member.disk.trouble, member.disk.slow = 0, False
            resume(host)
            host.start()

    def stop(self) -> None:
        """The world ends: what is left of its processes does nothing when it is collected."""
        for host in self.hosts.values():
            host.crash("lost")

    # --- the end -----------------------------------------------------------------------------------------------------

    def members(self) -> list[Host]:
        """Those that can serve: known to the leader as members, running, not halted."""
        leader = self.leader()
        if leader is None:
            return []
        names = {*map(bare, leader.configuration.peers), *map(bare, leader.configuration.learners)}
        return [host for host in self.running() if host.id in names]

    def agree(self) -> bool:
        """Every member has applied everything the leader has."""
        leader = self.leader()
        members = self.members()
        return (
            leader is not None
            and len({host.registers.state.index for host in members}) == 1
            and not any(
                host.commit_index < leader.last_index or host.applied_index < leader.last_index for host in members
            )
            and self._companions_agree()
        )

    def _companions_agree(self) -> bool:
        """Nobody changes the members of the second group."""
        companions = [companion for companion in self.companions() if companion.configuration.peers]
        last = max((companion.last_index for companion in companions if companion.leads), default=-1)
        return not companions or all(companion.applied_index == last for companion in companions)

    def compare(self) -> None:
        """Equal state is equal bytes."""
        for host in self.members():
            self.laws.snapshot(host.id, host.applied_index, host.registers.snapshot()["registers"], host.digest)
        for companion in self.companions():
            state = companion.registers.snapshot()["registers"]
            self._companions_laws.snapshot(companion.id, companion.applied_index, state, companion.digest)
        for number in self._companions_told:
            assert self._companions_laws.index_of(number), f"command {number} of the second group was lost"

    def revive(self) -> None:
        """Whoever halted because its disk failed is started again."""
        for host in self.running():
            if any(member.halted for member in host.members):
                host.crash("kept")
                host.start()

    def story(self) -> str:
        return "; ".join(host.story() for host in self.hosts.values())

    # --- actions -----------------------------------------------------------------------------------------------------

    def _crash(self, who: str, survives: str) -> None:
        self._each(who, lambda host: host.crash(survives))

    def _cut(self, links: Iterable[tuple[str, str]]) -> None:
        self.network.cut(links)

    def _links(self, name: str, *, out: bool = False, into: bool = False) -> list[tuple[str, str]]:
        others = [other for other in self.hosts if other != name]
        return [(name, other) for other in others if out] + [(other, name) for other in others if into]

    def _halves(self, sides: str) -> None:
        first = {self.who(number).id for number in sides.split("|")[0].split(",") if number}
        self._cut((a, b) for a, b in permutations(self.hosts, 2) if (a in first) != (b in first))

    def _ring(self) -> None:
        names = list(self.hosts)
        near = {1, len(names) - 1}
        self._cut(
            (a, b) for a, b in permutations(names, 2) if (names.index(a) - names.index(b)) % len(names) not in near
        )

    def _bridge(self, who: str) -> None:
        bridge = self.who(who).id
        names = [name for name in self.hosts if name != bridge]
        first = set(names[: len(names) // 2])
        self._cut((a, b) for a, b in permutations(names, 2) if (a in first) != (b in first))

    def _weather(self, dropped: str, doubled: str, late: str) -> None:
        self.network.weather = Weather(int(dropped), int(doubled), int(late))

    def _disk(self, who: str, how: str) -> None:
        for member in self.who(who).members:
            member.disk.trouble, member.disk.slow = TROUBLES[how], how == "slow"

    def _flip(self, who: str, what: str) -> None:
        disk = self.who(who).disk
        disk.flip_log() if what == "log" else disk.flip_snapshot()

    def _tell_companion(self, key: str, value: str, who: str) -> None:
        """The second group is written to by the same clients, who wait for it, too."""
        host = self.who(who)
        companion = host.companion
        if companion is not None:
            self._companions_number += 1
            command = Command(self._companions_number, "append", key, value)
            host.later(lambda: host.ask(lambda: self._watched(companion.group.propose(command), command.number)))

    def _watched(self, done: asyncio.Future[object], number: int) -> asyncio.Future[object]:
        def told(done: asyncio.Future[object]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._companions_told.append(number)

        done.add_done_callback(told)
        return done

    def _jump(self, who: str, by_ms: str) -> None:
        process = self.who(who).process
        if process is not None:
            process.jump(int(by_ms))

    def _ask(self, ask: Callable[[Host], object]) -> None:
        leader = self.leader()
        if leader is not None:
            leader.later(lambda: leader.ask(lambda: ask(leader)))

    def _members(self, voters: str) -> None:
        names = sorted({self.who(number).id for number in voters.split(",")})
        self._ask(lambda leader: leader.group.change_peers(names))

    def _add(self, who: str) -> None:
        self._ask(lambda leader: leader.group.add_peer(self.who(who).id))

    def _remove(self, who: str) -> None:
        name = self.who(who).id

        def remove(leader: Host) -> object:
            learns = name in map(bare, leader.configuration.learners)
            return leader.group.remove_learner(name) if learns else leader.group.remove_peer(name)

        self._ask(remove)

    def _learner(self, who: str) -> None:
        self._ask(lambda leader: leader.group.add_learner(self.who(who).id))

    def _transfer(self, who: str) -> None:
        self._ask(lambda leader: leader.group.transfer_leadership_to(self.who(who).id))

    def _snapshot(self, who: str) -> None:
        host = self.who(who)
        if host.process is not None:
            host.later(lambda: host.ask(host.group.snapshot))


def prioritised(names: list[str], draw: Random) -> list[str]:
    """Some are preferred, one is never elected."""
    suffixes = [draw.choice(("", ":10", ":50", ":100")) for _ in names]
    suffixes[draw.randrange(len(names))] = ":0"
    return [name + suffix for name, suffix in zip(names, suffixes, strict=True)]


def pause(host: Host) -> None:
    if host.process is not None:
        host.process.pause()


def resume(host: Host) -> None:
    if host.process is not None and host.process.paused:
        host.process.resume()
