"""The Java originals: jars that Maven brings into a cache, the driver compiled against them, a process that answers commands.

Nothing of them is in the repository but the driver's source (`bench/core/java`); `Originals.java` tells its commands.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCES = Path(__file__).parent / "java"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "nacosx-bench"

DISRUPTORS = ("3.4.4", "4.0.0")  # 3.4 is what SOFAJRaft and Nacos ship, 4.0 the newest
JAVA_VERSION_MIN = 11

PARALLEL = "ParallelGC"  # the process whose JVM has this collector instead of its default, G1

# As a server would run, but with its whole heap from the start: growing it is not what is measured.
JAVA_OPTIONS = ("-Xms2g", "-Xmx2g")
STOP_S_MAX = 20.0


class OriginalError(Exception):
    """The originals cannot be had here, or one of them has failed."""


class Original:
    """A started Java process with one version of the Disruptor, and SOFAJRaft, Netty and RocksDB beside it."""

    def __init__(self, disruptor: str, *java_options: str) -> None:
        folder = built(disruptor)
        classpath = os.pathsep.join([str(folder / "classes"), str(folder / "jars" / "*")])
        self._process = subprocess.Popen(
            [_tool("java"), *JAVA_OPTIONS, *java_options, "-cp", classpath, "Originals"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._expect("ready")

    def ask(self, *command: object) -> dict[str, float]:
        """One command and its figures by name. Raises OriginalError when it fails."""
        assert self._process.stdin is not None
        line = " ".join(map(str, command))
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        words = self._answer().split()
        if not words or words[0] == "error":
            raise OriginalError(f"{line}: {' '.join(words)}")
        return {name: float(value) for name, value in zip(words[::2], words[1::2], strict=True)}

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OriginalError(f"the Java process ended with {self._process.wait()}")
        return line.strip()

    def _expect(self, word: str) -> None:
        if (said := self._answer()) != word:
            raise OriginalError(f"the Java process says {said!r}")


@contextmanager
def originals() -> Iterator[dict[str, Original]]:
    """One process for each version of the Disruptor, by that version, and the one named `PARALLEL`. Raises OriginalError."""
    started: dict[str, Original] = {}
    try:
        for version in DISRUPTORS:
            started[version] = Original(version)
        started[PARALLEL] = Original(DISRUPTORS[0], "-XX:+UseParallelGC")
        yield started
    finally:
        for original in started.values():
            original.close()


def built(disruptor: str) -> Path:
    """The folder with `jars` and `classes`, made on the first call ever and when the sources have changed."""
    sources = sorted(SOURCES.glob("*.java"))
    pom = SOURCES / "pom.xml"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (pom, *sources))).hexdigest()[:16]
    folder = CACHE / f"originals-{disruptor}-{digest}"
    if folder.exists():
        return folder
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    jars = draft / "jars"
    _run(
        [
            *(_tool("mvn"), "-q", "-B", "-f", str(pom), f"-Ddisruptor.version={disruptor}"),
            *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"),
        ]
    )
    _run(
        [
            *(_tool("javac"), "--release", str(JAVA_VERSION_MIN), "-Xlint:all", "-d", str(draft / "classes")),
            *("-cp", str(jars / "*"), *map(str, sources)),
        ]
    )
    draft.rename(folder)
    return folder


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise OriginalError(f"{command[0]} failed: {(done.stdout + done.stderr).strip()[-1000:]}")


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise OriginalError(f"{name} is not installed: the originals need a JDK and Maven")
    return found
