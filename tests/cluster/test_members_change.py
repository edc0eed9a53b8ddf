"""Members that move, that lose everything, that are new: who is in the cluster is known by id, wherever it is."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.members import Cluster
from tests.cluster.writers import Writer, Writers, check
from tests.server import wait_until

SEED = 6
TAKEN_IN_S_MAX = 20
STARTING = "server is STARTING now, please try again later!"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Not started. Its orderly stop is part of the test."""
    cluster = Cluster(tmp_path, 3, SEED)
    try:
        yield cluster
        cluster.stop()
    finally:
        cluster.close()


def test_all_come_back_at_other_addresses(cluster: Cluster) -> None:
    """Other ports for all, in a new cluster.conf. The ids stay, so the members are the same."""
    writers = Writers(cluster.members)
    cluster.start()
    with writers:
        writers.progress()
    cluster.agree()
    ids = [cluster.id(member) for member in cluster.members]
    port = cluster[1].port
    cluster.stop()
    cluster.take_ports()
    cluster.start()
    check(cluster, writers)
    assert cluster[1].port != port
    assert [cluster.id(member) for member in cluster.members] == ids
    with writers:
        writers.progress()
    check(cluster, writers)


def test_a_wiped_member_comes_back_as_another_in_its_own_place(cluster: Cluster) -> None:
    """Its new self is taken in, the old one put out, and it carries its part: with another member gone it makes the quorum."""
    writers = Writers(cluster.members)
    cluster.start()
    with writers:
        writers.progress()
        wiped = cluster.followers()[0]
        before = cluster.id(wiped)
        wiped.kill()
        wiped.wipe()
        writers.progress()
        wiped.start()

        def taken_in() -> bool:
            standing = cluster.standing(wiped)
            peers = standing.configuration.peers if standing is not None else ()
            return cluster.id(wiped) != before and cluster.id(wiped) in peers and before not in peers

        wait_until(taken_in, "the wiped member is one of the cluster again", TAKEN_IN_S_MAX)
        writers.progress()
        other = next(member for member in cluster.followers() if member is not wiped)
        other.kill()
        writers.progress()
        other.start()
        writers.progress()
    check(cluster, writers)


def test_a_server_that_was_alone_becomes_a_cluster(cluster: Cluster) -> None:
    """It keeps what it has, and takes in the others."""
    founder, *others = cluster.members
    alone = Writers([founder], first=100)
    founder.environment["NACOS_STANDALONE"] = "true"
    founder.start()
    with alone:
        alone.progress()
    founder.stop()
    del founder.environment["NACOS_STANDALONE"]
    cluster.start(others)
    lost = Writer(8, others)
    assert not lost.write()  # they belong to no cluster yet
    lost.close()
    founder.start()
    writers = Writers(cluster.members)

    def three() -> bool:
        standing = cluster.standing(founder)
        return standing is not None and len(standing.configuration.peers) == 3 and not standing.configuration.old_peers

    wait_until(three, "the cluster has three members", TAKEN_IN_S_MAX)
    with writers:
        writers.progress()
    check(cluster, writers)
    alone.check(cluster.members)
    assert lost.acknowledged == 0


def test_a_member_serves_nobody_before_it_holds_what_the_cluster_holds(cluster: Cluster) -> None:
    """An empty answer would be taken for the truth. Whoever keeps the process is told that it lives, and is not ready."""
    writers = Writers(cluster.members)
    cluster.start()
    with writers:
        writers.progress()
    cluster.agree()
    late = cluster.followers()[0]
    late.kill()
    cluster.wires.isolate([late.number])
    late.start()
    data_id = next(iter(writers.possible))[0]
    with contextlib.closing(http.client.HTTPConnection(late.host, late.port, timeout=20)) as connection:

        def ask(path: str) -> tuple[int, str]:
            connection.request("GET", f"/nacos{path}")
            response = connection.getresponse()
            return response.status, response.read().decode()

        assert ask(f"/v1/cs/configs?dataId={data_id}&group=g") == (503, STARTING)
        assert ask("/v1/ns/instance/list?serviceName=s") == (503, STARTING.replace(" now", "now"))
        assert ask("/v1/console/health/liveness") == (200, "OK")
        assert ask("/v1/console/health/readiness")[0] == 500
        cluster.wires.mend()
        wait_until(lambda: ask("/v1/console/health/readiness")[0] == 200, "it has caught up", TAKEN_IN_S_MAX)
    writers.check([late])
    check(cluster, writers)


def test_a_wiped_member_is_sent_a_snapshot_where_the_log_begins_too_late(cluster: Cluster) -> None:
    """The others have taken two snapshots, and cut their logs: what it missed travels in chunks."""
    writers = Writers(cluster.members, content_bytes=256 << 10)
    cluster.start()
    with writers:
        writers.progress()
        wiped = cluster.followers()[0]
        wiped.kill()
        wiped.wipe()
        writers.progress(300)
        wiped.start()
        wait_until(wiped.serves, "it has caught up", TAKEN_IN_S_MAX)
        segments = (wiped.data / "nacosx" / "log").glob("*.wal")
        assert min(int(segment.stem.split("-")[1], 16) for segment in segments) > 1, "it was sent the whole log"
        writers.progress()
    check(cluster, writers)
