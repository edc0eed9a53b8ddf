"""Runs a script to its end, lets the cluster recover, and judges."""

from __future__ import annotations

import logging
import traceback

import msgspec

from tests.sim.cluster import Cluster
from tests.sim.host import Host
from tests.sim.laws import BrokenLawError
from tests.sim.linearizable import READ, UndecidedError, contradiction
from tests.sim.loop import MS
from tests.sim.schedule import KEYS
from tests.sim.script import Script
from tests.sim.trace import Trace, silent

RECOVERY_MS_MAX = 12_000  # for everybody to be well, agree and answer, once nothing is broken any more
ROUND_MS = 1_000


class Outcome(msgspec.Struct, frozen=True):
    script: Script
    failure: str = ""  # empty: none
    law: str = ""  # which law it broke; or which exception, and where: what two failures that are one have in common
    trace_hash: str = ""
    trace: list[str] = []
    runs: int = 0  # callbacks of processes
    operations: int = 0
    answered: int = 0
    committed: int = 0
    terms: int = 0
    snapshots: int = 0
    breach: bool = False  # a law was broken; else the failure is an exception


def run(script: Script, *, traced: bool = False, inner: bool = True, host_of: type[Host] = Host) -> Outcome:
    trace = Trace()
    cluster = Cluster(script, trace.note if traced else silent, inner=inner, host_of=host_of)
    trace.agenda = cluster.agenda
    logged = Logged()
    logged.attach()
    failure = law = ""
    breach = False
    try:
        play(cluster)
        logged.check()
    except BrokenLawError as error:
        failure, law, breach = str(error), error.law, True
    except UndecidedError as error:
        failure, law, breach = str(error), "linearizability", True
    except Exception as error:  # an assertion of the rules, an error nobody expected: a finding, with its place
        law = f"{type(error).__name__} in {traceback.extract_tb(error.__traceback__)[-1].name}"
        failure = "".join(traceback.format_exception(error))
    finally:
        logged.detach()
        cluster.stop()
    laws = cluster.laws
    return Outcome(
        script,
        failure=failure,
        law=law,
        breach=breach,
        trace_hash=trace.hash() if traced else "",
        trace=trace.lines() if traced else [],
        runs=cluster.agenda.runs,
        operations=len(cluster.clients.history),
        answered=sum(operation.answer is not None for operation in cluster.clients.history),
        committed=len(laws.committed) - 1,
        terms=laws.terms,
        snapshots=len(laws.snapshots),
    )


def play(cluster: Cluster) -> None:
    cluster.start()
    last_ms = cluster.script.actions[-1].at_ms if cluster.script.actions else 0
    cluster.agenda.run((last_ms + 1) * MS, cluster.stepped)
    cluster.heal()
    recover(cluster)
    cluster.compare()
    history = cluster.clients.told()
    if wrong := contradiction(history):
        raise BrokenLawError("linearizability", "no order explains\n" + "\n".join(map(str, wrong)))


def recover(cluster: Cluster) -> None:
    """Rounds of operations at every member, until every one of a round is answered and all members hold the same."""
    agenda, clients = cluster.agenda, cluster.clients
    deadline_us = agenda.now_us + RECOVERY_MS_MAX * MS
    rounds = 0
    while agenda.now_us < deadline_us:
        rounds += 1
        asked = [clients.begin("append", key, f"f{rounds}.", "any") for key in KEYS]
        asked += [clients.begin(READ, KEYS[0], "", host.id) for host in cluster.members()]
        end_us = agenda.now_us + ROUND_MS * MS
        while agenda.now_us < end_us:
            agenda.run(agenda.now_us + 20 * MS, cluster.stepped)
            if all(operation.answer is not None for operation in asked) and cluster.agree():
                return
        cluster.revive()
    raise BrokenLawError("progress", f"nothing is broken for {RECOVERY_MS_MAX} ms: {cluster.story()}")


class Logged(logging.Handler):
    """What the engine logs with a traceback is a finding, unless the disk is to blame."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []
        self._logger = logging.getLogger("nacosx")

    def attach(self) -> None:
        self._propagate, self._level = self._logger.propagate, self._logger.level
        self._logger.propagate = False
        self._logger.setLevel(logging.ERROR)
        self._logger.addHandler(self)

    def detach(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagate
        self._logger.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def check(self) -> None:
        for record in self.records:
            error = record.exc_info[1] if record.exc_info else None
            if error is not None and not isinstance(error, OSError):
                raise error
