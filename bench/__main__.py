"""`python -m bench COMMAND`: each command measures one part of the house and reports in the form of `bench.report`."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "serve": "bench.serve.command",
    "core": "bench.core.command",
    "raft": "bench.raft.command",
}  # command → module whose main(arguments) returns the exit status


def main() -> int:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        print(f"usage: python -m bench {{{','.join(COMMANDS)}}} …", file=sys.stderr)
        return 2
    status: int = importlib.import_module(COMMANDS[name]).main(sys.argv[2:])
    return status


if __name__ == "__main__":
    sys.exit(main())
