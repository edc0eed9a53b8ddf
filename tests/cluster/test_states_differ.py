"""Members tell each other a hash of their state: one that holds something else, though its log is the same, is out."""

from __future__ import annotations

import contextlib
import http.client
import sys
from pathlib import Path
from urllib.parse import urlencode

from tests.cluster.members import Cluster, Member
from tests.cluster.odd_member import ODD
from tests.cluster.writers import Writers
from tests.server import wait_until

SEED = 6
FOUND_S_MAX = 20


def publish(member: Member, data_id: str, content: str, **headers: str) -> tuple[int, str]:
    form = urlencode({"dataId": data_id, "group": "g", "content": content}).encode()
    headers |= {"Content-Type": "application/x-www-form-urlencoded"}
    with contextlib.closing(http.client.HTTPConnection(member.host, member.port, timeout=10)) as connection:
        connection.request("POST", "/nacos/v1/cs/configs", form, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


def test_a_member_that_holds_something_else_halts_and_the_others_go_on(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 3, SEED)
    cluster.complaints = "another state|has halted"
    odd, *others = reversed(cluster.members)
    odd.command = (sys.executable, "-m", "tests.cluster.odd_member")
    try:
        cluster.start()
        leader = cluster.leader()
        cluster.agree()
        assert publish(leader, "config", "one") == (200, "true")
        assert publish(leader, "config", "two", casMd5="0" * 32) != (200, "true")  # refusals are compared, too
        before = cluster.agree()
        assert publish(leader, ODD, "the same") == (200, "true")
        told = "a majority of the members holds another state since entry"
        wait_until(lambda: told in odd.printed(), "the odd member halts", FOUND_S_MAX)
        assert f"since entry {before.applied_index + 1} or before" in odd.printed()
        cluster.leader(others)
        with Writers(others) as writers:
            writers.progress()
        cluster.agree(others)  # a member that follows serves what it has applied, and hears of a commit a moment later
        writers.check(others)
        assert not any(told in other.printed() for other in others)
        cluster.stop()
    finally:
        cluster.close()
