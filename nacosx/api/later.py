"""An answer that is known and waits for a write: the handlers' way to wait for the disk without a task of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from nacosx.errors import NacosError

T = TypeVar("T")


class Later(msgspec.Struct, Generic[T], frozen=True):
    """`answer` once `written` is done. When the write was refused: `refused(error)`, or as the door words every refusal."""

    written: asyncio.Future[None]
    answer: T
    refused: Callable[[NacosError], T] | None = None
