"""Five members: any two of them may be gone."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.members import Cluster
from tests.cluster.writers import Writers, check

SEED = 7


def test_two_are_killed_then_two_are_cut_off_then_all_are_killed(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 5, SEED)
    writers = Writers(cluster.members)
    try:
        cluster.start()
        with writers:
            writers.progress()
            gone = [cluster.leader(), cluster.followers()[0]]
            for member in gone:
                member.kill()
            writers.progress()
            cluster.start(gone)
            alone = [cluster.leader(), cluster.followers()[-1]]
            cluster.wires.isolate([member.number for member in alone])
            cluster.leader([member for member in cluster.members if member not in alone])
            writers.progress()
            cluster.wires.mend()
            cluster.leader()
            writers.progress()
            for member in cluster.members:
                member.kill()
            cluster.start()
            writers.progress()
        check(cluster, writers)
        cluster.stop()
    finally:
        cluster.close()
