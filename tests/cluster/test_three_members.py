"""Three members: one may be killed, stopped, cut off or out of disk at any moment; nothing that was acknowledged is lost."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.members import Cluster, Member
from tests.cluster.writers import Writer, Writers, check
from tests.server import wait_until
from tests.small_disk import small_disk_at

SEED = 5
FULL_S_MAX = 30


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


def test_kill_9_of_the_leader_and_of_followers(cluster: Cluster, writers: Writers) -> None:
    with writers:
        for killed in ("leader", "follower"):
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


def test_a_leader_that_is_stopped_and_goes_on(cluster: Cluster, writers: Writers) -> None:
    """SIGSTOP: its connections stand and say nothing; when it goes on it finds another leader."""
    with writers:
        writers.progress()
        stopped = cluster.leader()
        stopped.pause()
        others = [member for member in cluster.members if member is not stopped]
        assert cluster.leader(others) is not stopped
        writers.progress()
        stopped.resume()
        cluster.leader()
        writers.progress()
    check(cluster, writers)


def test_a_leader_that_is_cut_off(cluster: Cluster, writers: Writers) -> None:
    """Alone it acknowledges nothing; afterwards it follows."""
    with writers:
        writers.progress()
        alone = cluster.leader()
        others = [member for member in cluster.members if member is not alone]
        cluster.wires.isolate([alone.number])
        assert cluster.leader(others) is not alone
        writers.progress()
        lonely = Writer(9, [alone])
        assert not lonely.write()
        lonely.close()
        cluster.wires.mend()
        cluster.leader()
        writers.progress()
    writers.writers.append(lonely)
    check(cluster, writers)


def test_a_leader_that_hears_nobody_and_a_follower_that_is_heard_by_nobody(cluster: Cluster, writers: Writers) -> None:
    with writers:
        writers.progress()
        deaf = cluster.leader()
        for other in cluster.followers():
            cluster.wires.cut(other.number, deaf.number)
        cluster.leader([member for member in cluster.members if member is not deaf])
        writers.progress()
        cluster.wires.mend()
        mute = cluster.followers()[0]
        for other in cluster.members:
            if other is not mute:
                cluster.wires.cut(mute.number, other.number)
        writers.progress()
        cluster.wires.mend()
        writers.progress()
    check(cluster, writers)


def limit_files(member: Member, size: int) -> None:
    """RLIMIT_FSIZE: the log fails with EFBIG, as a full disk with ENOSPC; it needs no right to mount."""
    _, hard = resource.prlimit(member.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(member.pid, resource.RLIMIT_FSIZE, (hard if size == resource.RLIM_INFINITY else size, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The data of member 1: room for two segments of the log, and for rows."""
    with small_disk_at(tmp_path / "1" / "data", "320m") as disk:
        yield disk


def fill(disk: Path) -> Path:
    """A member writes meanwhile."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(64 << 10)):
            pass
    return ballast


def test_a_full_disk_under_the_leader(small_disk: Path, tmp_path: Path) -> None:
    """Who cannot write does not lead and does not confirm; the others go on. With space again it catches up by itself."""
    cluster = Cluster(tmp_path, 3, SEED)
    cluster.complaints = "No space left"
    writers = Writers(cluster.members, content_bytes=256 << 10)
    try:
        cluster.start()
        full = cluster[1]
        while (leader := cluster.leader()) is not full:
            leader.pause()
            cluster.leader([member for member in cluster.members if member is not leader])
            leader.resume()
        with writers:
            ballast = fill(small_disk)
            wait_until(lambda: "cannot be written" in full.printed(), "the segment of the log is full", FULL_S_MAX)
            writers.progress()
            ballast.unlink()
            writers.progress()
        check(cluster, writers)
        cluster.stop()
    finally:
        cluster.close()


def test_a_follower_whose_files_may_not_grow(cluster: Cluster, writers: Writers) -> None:
    with writers:
        writers.progress()
        follower = cluster.followers()[0]
        limit_files(follower, 64 << 10)
        wait_until(lambda: "cannot be written" in follower.printed(), "64 KiB of log are written", FULL_S_MAX)
        writers.progress()
        limit_files(follower, resource.RLIM_INFINITY)
        writers.progress()
    cluster.complaints = "File too large"
    check(cluster, writers)
