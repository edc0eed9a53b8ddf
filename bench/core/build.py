"""Compiles the C threads of the benchmarks, beside their source, when the source or what it is compiled against has changed.

`python -m bench.core.build FOLDER -fsanitize=thread` makes a copy of the ring and of its threads, and of the log, in a folder,
compiled with these flags: `ci/race` runs their stress there under ThreadSanitizer.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CORE = "nacosx/_core"
RING = (f"{CORE}/atomic.pxd", f"{CORE}/ring.pxd", f"{CORE}/ring.pyx")
THREADS = ("bench/core/ring_threads.pyx",)
LOG = tuple(
    f"{CORE}/{name}.pyx"
    for name in ("disk", "entry", "segment", "append_batcher", "flush", "recovery", "disk_thread", "wal")
)
PTHREAD = f"{CORE}/pthread.pxd"
NEEDED = ("nacosx/__init__.py", f"{CORE}/__init__.py", "bench/__init__.py", "bench/core/__init__.py")
SCRIPTS = ("bench/core/build.py", "bench/core/topology.py", "bench/core/stress.py", "bench/core/log_stress.py")


def ring_threads() -> None:
    """Afterwards `bench.core.ring_threads` can be imported. CalledProcessError when it does not compile."""
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    stamp = _stamp(ROOT)
    if not (ROOT / THREADS[0]).with_suffix(suffix).exists() or not stamp.exists() or stamp.read_text() != _digest():
        compile_in(ROOT, THREADS, ())
        stamp.write_text(_digest())


def load(source: str) -> None:
    """Afterwards this part of the load of `bench raft` can be imported. CalledProcessError when it does not compile."""
    path = ROOT / source
    compiled = path.with_suffix(str(sysconfig.get_config_var("EXT_SUFFIX")))
    if not compiled.exists() or compiled.stat().st_mtime < path.stat().st_mtime:
        compile_in(ROOT, (source,), ())


def copy_in(folder: Path, flags: Sequence[str]) -> None:
    """The same and the log compiled anew in a folder, from which `python -m bench.core.stress` and `log_stress` run."""
    declarations = [name.replace(".pyx", ".pxd") for name in LOG if (ROOT / name).with_suffix(".pxd").exists()]
    for name in (*NEEDED, *SCRIPTS, *RING, *THREADS, *LOG, *declarations, PTHREAD):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    compile_in(folder, (RING[-1], *THREADS, *LOG), flags)
    _stamp(folder).write_text(_digest())


def compile_in(folder: Path, sources: Sequence[str], flags: Sequence[str]) -> None:
    """Compiles each Cython source beside itself. In a process of its own: setuptools leaves traces."""
    subprocess.run(
        [sys.executable, "-c", _SETUP, *sources, "--", *flags], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )


_SETUP = """
import sys
from Cython.Build import cythonize
from setuptools import Distribution, Extension
border = sys.argv.index("--")
sources, flags = sys.argv[1:border], sys.argv[border + 1 :]
directives = {"language_level": "3", "boundscheck": False, "wraparound": False, "cdivision": True, "auto_pickle": False}
extensions = [
    Extension(
        source.removesuffix(".pyx").replace("/", "."), [source], extra_compile_args=["-O3", "-g", *flags], extra_link_args=flags
    )
    for source in sources
]
compiled = cythonize(extensions, compiler_directives=directives, quiet=True, build_dir="build/bench")
command = Distribution({"ext_modules": compiled}).get_command_obj("build_ext")
command.inplace = True
command.build_temp = "build/bench"
command.ensure_finalized()
command.run()
"""


def _stamp(folder: Path) -> Path:
    """Tells what the threads in a folder were compiled from."""
    return folder / "build" / "bench" / "compiled-from"


def _digest() -> str:
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in (*RING, *THREADS))).hexdigest()


if __name__ == "__main__":
    copy_in(Path(sys.argv[1]), sys.argv[2:])
