"""Java originals: jars that Maven brings into a cache, a driver compiled against them, a process that answers commands.

Nothing of them is in the repository but the driver's source, a folder with a `pom.xml` and `*.java`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.driver import Driver, DriverError

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "nacosx-bench"
JAVA_VERSION_MIN = 11

# As a server would run, but with its whole heap from the start: growing it is not what is measured.
JAVA_OPTIONS = ("-Xms2g", "-Xmx2g")


class Original(Driver):
    """A started Java process that runs the class `driver` of `sources`, compiled with these Maven properties.

    Raises DriverError when there is no JDK or Maven, or the jars cannot be had.
    """

    def __init__(
        self,
        sources: Path,
        driver: str,
        *arguments: str,
        properties: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        folder = built(sources, properties or {})
        classpath = os.pathsep.join([str(folder / "classes"), str(folder / "jars" / "*")])
        super().__init__([_tool("java"), *JAVA_OPTIONS, *java_options, "-cp", classpath, driver, *arguments])
        self.ready()


def built(sources: Path, properties: Mapping[str, str]) -> Path:
    """The folder with `jars` and `classes`, made on the first call ever and when the sources have changed."""
    drivers = sorted(sources.glob("*.java"))
    pom = sources / "pom.xml"
    defined = [f"-D{name}={value}" for name, value in properties.items()]
    content = [*(path.read_bytes() for path in (pom, *drivers)), *map(str.encode, defined)]
    digest = hashlib.sha256(b"".join(content)).hexdigest()[:16]
    folder = CACHE / f"originals-{digest}"
    if folder.exists():
        return folder
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    jars = draft / "jars"
    _run(
        [
            *(_tool("mvn"), "-q", "-B", "-f", str(pom), *defined),
            *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"),
        ]
    )
    _run(
        [
            *(_tool("javac"), "--release", str(JAVA_VERSION_MIN), "-Xlint:all", "-d", str(draft / "classes")),
            *("-cp", str(jars / "*"), *map(str, drivers)),
        ]
    )
    draft.rename(folder)
    return folder


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise DriverError(f"{command[0]} failed: {(done.stdout + done.stderr).strip()[-1000:]}")


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DriverError(f"{name} is not installed: the originals need a JDK and Maven")
    return found
