"""`python -m nacosx` is the `nacosx` command."""

from __future__ import annotations

from nacosx.cli import main

if __name__ == "__main__":
    main()
