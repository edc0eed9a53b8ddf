"""Members that have applied the same entries hold the same: who does not is broken, and is found by comparing digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from nacosx.engine.ports import Standing


def known(standing: Standing) -> dict[int, int]:
    """Index → digest."""
    return {**standing.digests, standing.applied_index: standing.digest}


def differs_at(ours: Mapping[int, int], theirs: Mapping[int, int]) -> int | None:
    """The first index at which both know their digest and these are not equal."""
    return min((index for index in ours.keys() & theirs.keys() if ours[index] != theirs[index]), default=None)


def odd_one_out_at(ours: Mapping[int, int], others: Iterable[Mapping[int, int]], voters: int) -> int | None:
    """The first index at which a majority of the voters agrees on another digest than ours: then this member is the broken
    one. None: it is not, or nobody can tell."""
    votes: dict[int, Counter[int]] = {}
    for theirs in others:
        for index in ours.keys() & theirs.keys():
            votes.setdefault(index, Counter())[theirs[index]] += 1
    for index in sorted(votes):
        [(digest, count)] = votes[index].most_common(1)
        if count > voters // 2 and digest != ours[index]:
            return index
    return None
