"""The recorded exchanges of Nacos 2.5.1, in order, against a started nacosx: no unexplained difference."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from fnmatch import fnmatchcase
from urllib.parse import quote

import pytest

from tests.contract.compare import differences, learned
from tests.contract.differences import EXPLAINED, NOT_REPLAYED, UNORDERED, Explained, reason_not_to_replay
from tests.contract.exchange import send
from tests.contract.golden import FOLDER, Answer, Recorded, Request, recordings
from tests.server import ServerProcess, wait_until

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recordings do not lie beside the repository")

RECORDED = recordings()
REPLAYED = [each for each in RECORDED if reason_not_to_replay(each.request.target) is None]
REPLAYED_MIN = 190  # so that a table that has grown too wide is noticed
ID_LENGTH_MIN = 8  # shorter ids are counters, equal on both sides
LISTENER_S_MAX = 10.0


class Replay:
    """Sends the exchanges in order, and does what somebody else did beside them when they were recorded."""

    def __init__(self, server: ServerProcess) -> None:
        self.address = ("127.0.0.1", server.port)
        self.ids: dict[str, str] = {}
        self.long_poll: socket.socket | None = None
        self.beside: dict[int, Callable[[], None]] = {
            75: self.change_while_a_client_hangs,
            76: self.listen_to_full,
            81: self.stop_listening,
            114: self.import_two,
            224: self.forget_pushes,
        }

    def exchange(self, recorded: Recorded) -> Answer:
        for number in [number for number in self.beside if number <= recorded.number]:
            self.beside.pop(number)()
        request = recorded.request
        target = re.sub(r"[0-9a-f-]{8,}", lambda found: self.ids.get(found[0], found[0]), request.target)
        answer = send(self.address, request._replace(target=target))
        self.ids.update((one, other) for one, other in learned(recorded.answer, answer) if len(one) >= ID_LENGTH_MIN)
        return answer

    def publish(self, data_id: str, group: str, content: str, kind: str) -> None:
        target = f"/nacos/v1/cs/configs?dataId={data_id}&group={group}&content={quote(content)}&type={kind}"
        assert send(self.address, Request("POST", target, [], b"")).body == b"true"

    def listened_to(self, data_id: str, group: str) -> bool:
        target = f"/nacos/v1/cs/configs/listener?dataId={data_id}&group={group}&sampleTime=1"
        return b"127.0.0.1" in send(self.address, Request("GET", target, [], b"")).body

    def forget_pushes(self) -> None:
        """Nobody acknowledges the pushes to the port of 163. The recorded server was asked before it gave them up."""
        send(self.address, Request("GET", "/nacos/v1/ns/operator/push/state?reset=true", [], b""))

    def change_while_a_client_hangs(self) -> None:
        """075 waits for this change."""

        def change() -> None:
            wait_until(lambda: self.listened_to("gd.hang", "DEFAULT_GROUP"), "the client hangs", LISTENER_S_MAX)
            self.publish("gd.hang", "DEFAULT_GROUP", "woke", "text")

        self.changer = threading.Thread(target=change)
        self.changer.start()

    def listen_to_full(self) -> None:
        """076 to 080 show a client that hangs meanwhile."""
        self.changer.join()
        body = b"Listening-Configs=gd.full%02G2%02bb6cb5c68df4652941caf652a366f2d8%01"
        self.long_poll = socket.create_connection(self.address)
        self.long_poll.sendall(
            b"POST /nacos/v1/cs/configs/listener HTTP/1.1\r\nHost: a\r\nLong-Pulling-Timeout: 30000\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        wait_until(lambda: self.listened_to("gd.full", "G2"), "the client hangs", LISTENER_S_MAX)

    def stop_listening(self) -> None:
        self.close()

    def import_two(self) -> None:
        """114 and 115 work on what was imported, and import is not replayed."""
        self.publish("imp1.yaml", "DEFAULT_GROUP", "x: 1", "yaml")
        self.publish("imp2.json", "G2", "{}", "json")

    def close(self) -> None:
        if self.long_poll is not None:
            self.long_poll.close()


@pytest.fixture(scope="module")
def replay(module_server: ServerProcess) -> Iterator[Replay]:
    with closing(Replay(module_server)) as replay:
        yield replay


@pytest.mark.parametrize("recorded", REPLAYED, ids=[each.name for each in REPLAYED])
def test_the_answer_is_that_of_the_java_server(replay: Replay, recorded: Recorded) -> None:
    answer = replay.exchange(recorded)
    unordered = UNORDERED.get(recorded.name, Explained((), ""))
    found = differences(recorded.answer, answer, unordered.places)
    explained = EXPLAINED.get(recorded.name, Explained((), ""))
    places = [each.partition(": ")[0] for each in found]
    unexplained = [
        each
        for each, place in zip(found, places, strict=True)
        if not any(fnmatchcase(place, pattern) for pattern in explained.places)
    ]
    assert not unexplained, "\n".join([f"{recorded.name} differs:", *unexplained])
    stale = [pattern for pattern in explained.places if not any(fnmatchcase(place, pattern) for place in places)]
    assert not stale, f"these explanations explain nothing any more: {stale}"


def test_order_is_only_forgiven_where_it_matters() -> None:
    """Both tables name exchanges that are replayed, and every reason not to replay has an exchange."""
    names = {each.name for each in REPLAYED}
    assert (EXPLAINED.keys() | UNORDERED.keys()) <= names
    unused = [each.path for each in NOT_REPLAYED if not any(_is_reason(each.path, one) for one in RECORDED)]
    assert unused == []
    assert len(REPLAYED) >= REPLAYED_MIN


def _is_reason(path: str, recorded: Recorded) -> bool:
    reason = reason_not_to_replay(recorded.request.target)
    return reason is not None and reason.path == path
