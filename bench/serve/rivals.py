"""Where the rival comes from: a build in a cache outside the repository, or a binary that the environment names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

RNACOS_VERSION = "0.8.5"
RNACOS_VARIABLE = "NACOSX_BENCH_RNACOS"  # path of an existing binary
BUILD_MINUTES = 8  # on two cores


class RivalError(Exception):
    """The rival can be neither found nor built here."""


@cache
def rnacos() -> Path:
    """The r-nacos binary; built with cargo on the first call ever, and that is said on standard error."""
    named = os.environ.get(RNACOS_VARIABLE)
    binary = Path(named) if named else _cache() / "bin" / "rnacos"
    if not binary.exists():
        if named:
            raise RivalError(f"{RNACOS_VARIABLE} names {named}, which does not exist")
        _build(binary)
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    if RNACOS_VERSION not in said:
        raise RivalError(f"{binary} is not r-nacos {RNACOS_VERSION} but {said.strip()}")
    return binary


def _cache() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return caches / "nacosx-bench" / f"rnacos-{RNACOS_VERSION}"


def _build(binary: Path) -> None:
    cargo = shutil.which("cargo")
    if cargo is None:
        raise RivalError(f"no cargo to build r-nacos {RNACOS_VERSION}; {RNACOS_VARIABLE} may name a binary")
    print(
        f"building r-nacos {RNACOS_VERSION} with cargo, once: about {BUILD_MINUTES} minutes; "
        f"{RNACOS_VARIABLE} may name a binary instead",
        file=sys.stderr,
        flush=True,
    )
    command = [cargo, "install", "rnacos", "--version", RNACOS_VERSION, "--root", str(binary.parent.parent)]
    if subprocess.run(command).returncode != 0:
        raise RivalError(f"{' '.join(command)} failed")
