"""Members that show each other certificates: who has none, or one of another authority, is not let in."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cluster.certificates import Authority
from tests.cluster.members import Cluster, Member
from tests.cluster.writers import Writers, check
from tests.server import wait_until

SEED = 8
REFUSED_S_MAX = 20
TRUSTED = "NACOS_REMOTE_PEER_RPC_TLS_TRUSTCOLLECTIONCERTFILE"


def wait_until_refused(stranger: Member, others: list[Member]) -> None:
    told = re.compile(rf"no connection to {stranger.known_as}:.*CERTIFICATE_VERIFY_FAILED")
    wait_until(lambda: all(told.search(other.printed()) for other in others), "it is refused", REFUSED_S_MAX)


def test_who_shows_no_certificate_of_the_authority_is_not_let_in(tmp_path: Path) -> None:
    """Of three members one comes back with a foreign certificate, and without any; then with its own, and catches up."""
    ours, foreign = Authority(tmp_path / "authorities", "ours"), Authority(tmp_path / "authorities", "foreign")
    cluster = Cluster(tmp_path, 3, SEED, tls=ours.contexts("observer"))
    plain = [dict(member.environment) for member in cluster.members]
    for member in cluster.members:
        member.environment |= ours.environment(f"member-{member.number}")
    writers = Writers(cluster.members)
    try:
        cluster.start()
        cluster.leader()
        cluster.agree()
        with writers:
            writers.progress()
            stranger = cluster.followers()[0]
            right = stranger.environment
            others = [member for member in cluster.members if member is not stranger]
            trusting = right | foreign.environment("stranger") | {TRUSTED: right[TRUSTED]}
            for wrong in (trusting, plain[stranger.number - 1]):
                stranger.stop()
                stranger.environment = wrong
                stranger.start()
                writers.progress()
                cluster.leader(others)
                if wrong is trusting:  # who speaks no TLS breaks off at once, which is no fault of a certificate
                    wait_until_refused(stranger, others)
                assert not stranger.serves()
                assert cluster.standing(stranger) is None
                writers.progress()
            stranger.stop()
            stranger.environment = right
            stranger.start()
            writers.progress()
        check(cluster, writers)
        cluster.stop()
    finally:
        cluster.close()
