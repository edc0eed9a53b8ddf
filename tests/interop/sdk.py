"""The client SDKs: how each is installed, started, and what it cannot do."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

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


def skip_without_toolchain(client: str, missing: ToolchainMissingError) -> NoReturn:
    """Where nobody can install it the client is named as skipped; in CI none is."""
    if os.environ.get("CI") == "true":
        raise missing
    pytest.skip(f"{client}: {missing}")


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
    "resubscribe": "loses its subscription when the server is away: the polling thread ends with the error",
    "publish_big": "sends the content in the query string, where the Java server takes no megabyte either",
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


# --- Go


GO_VERSION_MIN = (1, 21)


def go_tool() -> str:
    go = tool("go", "/usr/local/go/bin/go")
    printed = subprocess.run([go, "version"], capture_output=True, text=True, check=True, timeout=30).stdout
    found = re.search(r"go(\d+)\.(\d+)", printed)
    if not found or tuple(map(int, found.groups())) < GO_VERSION_MIN:
        raise ToolchainMissingError(f"{printed.strip()} is older than {'.'.join(map(str, GO_VERSION_MIN))}")
    return go


def install_go(sdk: Sdk) -> list[str]:
    go = go_tool()
    sources = HERE / "go" / sdk.name.removeprefix("go-")

    def build(folder: Path) -> None:
        environment = {"GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
        run(go, "build", "-o", folder / "driver", ".", cwd=sources, **environment)

    shared = HERE / "go" / "lines" / "lines.go"
    folder = once(sdk, sources / "main.go", sources / "go.mod", sources / "go.sum", shared, build=build)
    return [str(folder / "driver")]


GO_V2 = Sdk(
    name="go-v2",
    version="2.3.5",
    grpc=True,
    install=install_go,
    cannot={
        "several": "holds one instance a service and connection, as every gRPC client",
        "batch_remove": "has no deregistration of a batch",
        "haste": "forgets a change that is announced while it checks the one before (executeConfigListen), for 5 minutes",
    },
)

GO_V1 = Sdk(
    name="go-v1",
    version="1.1.6",
    install=install_go,
    cannot={
        "batch": "registers one instance a call",
        "cas": "has no compare-and-set",
    },
)


# --- Node.js


def install_node(sdk: Sdk) -> list[str]:
    node, npm = tool("node"), tool("npm")
    sources = HERE / "node"

    def build(folder: Path) -> None:
        for name in ("package.json", "driver.js"):
            shutil.copy(sources / name, folder)
        run(npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", cwd=folder)

    folder = once(sdk, sources / "package.json", sources / "driver.js", build=build)
    return [node, str(folder / "driver.js")]


NODE = Sdk(
    name="node",
    version="2.6.3",
    install=install_node,
    cannot={
        "batch": "registers one instance a call",
        "cas": "has no compare-and-set",
        "one": "has no choice of one instance by weight",
    },
)


# --- Java


def install_java(sdk: Sdk) -> list[str]:
    java, javac, mvn = tool("java"), tool("javac"), tool("mvn")
    sources = HERE / "java"

    def build(folder: Path) -> None:
        shutil.copy(sources / "pom.xml", folder)
        fetch = ("dependency:copy-dependencies", f"-Dnacos.version={sdk.version}", "-DoutputDirectory=jars")
        run(mvn, "-q", "-B", *fetch, cwd=folder)
        run(javac, "-cp", "jars/*", "-d", "classes", sources / "Driver.java", cwd=folder)

    folder = once(sdk, sources / "pom.xml", sources / "Driver.java", build=build)
    small = ("-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    # Its caches and logs go where the driver runs, not home.
    private = ("-Duser.home=.", "-DJM.LOG.PATH=logs", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
    return [java, *small, *private, "-cp", f"{folder / 'classes'}:{folder / 'jars'}/*", "Driver"]


JAVA_1 = Sdk(
    name="java",
    version="1.4.8",
    install=install_java,
    cannot={
        "batch": "registers one instance a call",
        "cas": "has no compare-and-set",
    },
)

_JAVA_GRPC_CANNOT = {"several": "holds one instance a service and connection, as every gRPC client"}

JAVA_2 = Sdk(name="java", version="2.5.1", grpc=True, install=install_java, cannot=_JAVA_GRPC_CANNOT)

JAVA_3 = Sdk(name="java", version="3.0.3", grpc=True, install=install_java, cannot=_JAVA_GRPC_CANNOT)
