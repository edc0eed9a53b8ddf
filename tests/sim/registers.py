"""The state machine of the simulation: registers that hold strings, and a fold of everything that was ever applied.

The fold makes two histories that differ anywhere differ for ever, in the bytes of every later snapshot.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import msgspec

from nacosx._core.entry import Configuration
from nacosx.engine.ports import StateMachine

Applied = Callable[[int, "Command"], None]


class Command(msgspec.Struct, frozen=True, array_like=True):
    number: int  # of the command: no two are alike
    kind: str
    key: str
    value: str
    expected: str = ""


class State(msgspec.Struct, array_like=True):
    index: int  # of the last command
    fold: int
    registers: dict[str, str]


class Registers(StateMachine):
    """`engine.ports.StateMachine`. `applied` hears of everything before it is done."""

    def __init__(self, applied: Applied) -> None:
        self.state = State(0, 0, {})
        self.term = 0  # in which this one leads; 0 when it does not
        self._applied = applied

    def decode(self, data: bytes) -> Command:
        return msgspec.msgpack.decode(data, type=Command)

    def encode(self, command: Command) -> bytes:
        return msgspec.msgpack.encode(command)

    def apply(self, index: int, command: Command) -> bool:
        """Whether it changed anything: that of a cas."""
        self._applied(index, command)
        state = self.state
        assert index > state.index, f"entry {index} is applied after {state.index}"
        state.index = index
        state.fold = zlib.crc32(b"%d %d" % (index, command.number), state.fold)
        held = state.registers.get(command.key, "")
        match command.kind:
            case "set":
                state.registers[command.key] = command.value
            case "append":
                state.registers[command.key] = held + command.value
            case "cas":
                if held != command.expected:
                    return False
                state.registers[command.key] = command.value
        return True

    def written(self, command: Command) -> bytes:
        return self.state.registers.get(command.key, "").encode()

    def read(self, key: str) -> str:
        return self.state.registers.get(key, "")

    def snapshot(self) -> dict[str, bytes]:
        state = self.state
        return {
            "registers": msgspec.msgpack.encode(State(state.index, state.fold, dict(sorted(state.registers.items()))))
        }

    def restore(self, index: int, snapshot: Mapping[str, bytes]) -> None:
        self.state = msgspec.msgpack.decode(snapshot["registers"], type=State)
        assert self.state.index <= index, "a snapshot holds more than it says"

    def leader_started(self, term: int) -> None:
        self.term = term

    def leader_stopped(self) -> None:
        self.term = 0

    def configuration_committed(self, configuration: Configuration, index: int) -> None:
        return  # nothing here depends on who is a member
