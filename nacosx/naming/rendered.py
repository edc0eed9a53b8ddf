"""The bound on rendered answers: the newest stay, in total at most `bytes_max`."""

from __future__ import annotations

from nacosx.naming.service import Service

RENDERED_BYTES_MAX = 8 * 1024 * 1024

# A service is asked for in a few variants; more than this means somebody invents cluster lists.
VARIANTS_MAX = 16


class RenderedAnswers:
    """Who holds rendered answers, oldest first. The answers themselves hang on the services, so that a hit is one look-up."""

    __slots__ = ("_bytes", "_bytes_max", "_sizes")

    def __init__(self, bytes_max: int = RENDERED_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._sizes: dict[Service, int] = {}

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def keep(self, service: Service, variant: tuple[str, bool, int], answer: bytes) -> None:
        """Remembers an answer until the service changes or room is needed. # limit: bytes_max, VARIANTS_MAX"""
        if len(answer) > self._bytes_max:
            return
        answers = service.rendered
        if answers is None:
            answers = service.rendered = {}
        elif len(answers) >= VARIANTS_MAX:
            self.forget(service)
            answers = service.rendered = {}
        answers[variant] = answer
        self._sizes[service] = self._sizes.get(service, 0) + len(answer)
        self._bytes += len(answer)
        while self._bytes > self._bytes_max:
            self.forget(next(iter(self._sizes)))

    def forget(self, service: Service) -> None:
        """The service changed: nothing rendered of it is true any more."""
        service.rendered = None
        self._bytes -= self._sizes.pop(service, 0)

    def forget_all(self) -> None:
        for service in self._sizes:
            service.rendered = None
        self._sizes.clear()
        self._bytes = 0
