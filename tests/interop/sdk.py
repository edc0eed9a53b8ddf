"""The client SDKs: how each is installed, started, and what it cannot do."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
BUILT = HERE.parent.parent / "build" / "interop"

INSTALL_S_MAX = 1200


class ToolchainMissingError(Exception):
    """The client's language is not installed and could not be."""


@dataclass(frozen=True)
class Sdk:
    name: str
    version: str
    install: Callable[[Sdk], list[str]]  # → the command that starts the driver
    grpc: bool = False
    cannot: dict[str, str] = field(default_factory=dict)  # what a scenario needs → why this SDK has it not

    @property
    def folder(self) -> Path:
        return BUILT / f"{self.name}-{self.version}"


def needs(*traits: str) -> Any:
    """Marks a scenario that only an SDK with these traits can play; see conftest.py."""
    return pytest.mark.needs(*traits)


def run(*command: str | Path, cwd: Path, **environment: str) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_S_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def tool(name: str, *elsewhere: str) -> str:
    found = shutil.which(name) or next((path for path in elsewhere if os.access(path, os.X_OK)), None)
    if found is None:
        raise ToolchainMissingError(f"{name} is not installed")
    return found


def once(sdk: Sdk, *sources: Path, build: Callable[[Path], None]) -> Path:
    """Runs `build(folder)` unless the folder was built from the same sources."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = sdk.folder / "built-from"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(sdk.folder, ignore_errors=True)
        sdk.folder.mkdir(parents=True)
        build(sdk.folder)
        stamp.write_text(digest)
    return sdk.folder


# --- Python


def install_python(sdk: Sdk, driver: str) -> list[str]:
    def build(folder: Path) -> None:
        run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
        python = folder / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "-q", f"nacos-sdk-python=={sdk.version}", cwd=folder)

    folder = once(sdk, build=build)
    return [str(folder / "venv" / "bin" / "python"), str(HERE / "python" / driver)]


PYTHON_GRPC = Sdk(
    name="python",
    version="3.2.0",
    grpc=True,
    install=lambda sdk: install_python(sdk, "grpc_driver.py"),
    cannot={
        "several": "holds one instance a service and connection, as every gRPC client",
        "one": "has no choice of one instance by weight",
    },
)

_PYTHON_HTTP_CANNOT = {
    "batch": "registers one instance a call",
    "cas": "has no compare-and-set",
    "one": "has no choice of one instance by weight",
    "publish_big": "sends the content in the query string, where the Java server takes no megabyte either",
    "unsubscribe": "keeps asking after unsubscribe, it only forgets the listener",
}

PYTHON_1X = Sdk(
    name="python",
    version="1.0.0",
    install=lambda sdk: install_python(sdk, "http_driver.py"),
    cannot=_PYTHON_HTTP_CANNOT,
)

# 0.1.15 and later are the code of 1.0.0; this one still polls in processes and leaves beating to the caller.
PYTHON_01X = Sdk(
    name="python",
    version="0.1.14",
    install=lambda sdk: install_python(sdk, "http_driver.py"),
    cannot=_PYTHON_HTTP_CANNOT,
)
