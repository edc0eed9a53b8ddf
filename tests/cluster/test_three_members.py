"""Three members: one may be killed, stopped, cut off or out of disk at any moment; nothing that was acknowledged is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.members import Cluster
from tests.cluster.writers import Writers

SEED = 5


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Started. Its orderly stop is part of the test."""
    cluster = Cluster(tmp_path, 3, SEED)
    try:
        cluster.start()
        cluster.leader()
        yield cluster
        cluster.stop()
    finally:
        cluster.close()


@pytest.fixture
def writers(cluster: Cluster) -> Writers:
    return Writers(cluster.members)


def check(cluster: Cluster, writers: Writers) -> None:
    cluster.leader()
    cluster.agree()
    writers.check(cluster.members)


def test_kill_9_of_the_leader_and_of_followers(cluster: Cluster, writers: Writers) -> None:
    with writers:
        for killed in ("leader", "follower", "leader"):
            writers.progress()
            leader = cluster.leader()
            member = leader if killed == "leader" else cluster.followers()[0]
            member.kill()
            writers.progress()
            member.start()
        writers.progress()
    check(cluster, writers)


def test_kill_9_of_all_at_once(cluster: Cluster, writers: Writers) -> None:
    with writers:
        writers.progress(200)
        for member in cluster.members:
            member.kill()
        cluster.start()
        writers.progress()
    check(cluster, writers)
