"""The slow twin of the ring: everything ever published, and one counter per consumer."""

from __future__ import annotations


class RingModel:
    def __init__(self, size: int, consumers: int) -> None:
        self.size = size
        self.claimed = -1
        self.published: dict[int, object] = {}
        self.consumed = [-1] * consumers

    def room(self) -> int:
        return self.size - (self.claimed - min(self.consumed))

    def claim(self, n: int) -> int | None:
        if n > self.room():
            return None
        self.claimed += n
        return self.claimed

    def publish(self, sequence: int, event: object) -> None:
        self.published[sequence] = event

    def available(self, consumer: int, *, after: list[int]) -> list[object]:
        """What this consumer may take now: published without a gap, and taken by everybody it comes after."""
        events = []
        sequence = self.consumed[consumer] + 1
        while sequence in self.published and all(sequence <= self.consumed[other] for other in after):
            events.append(self.published[sequence])
            sequence += 1
        return events
