"""Builds the compiled core. Everything else about the package stands in pyproject.toml.

Build modes, by environment variable:

NACOSX_DEBUG=1      bounds checks and asserts in every `_core` module
NACOSX_SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer (run Python with libasan preloaded)
NACOSX_ANNOTATE=1   writes `*.html` beside each `.pyx`: the yellow lines touch the interpreter
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("NACOSX_DEBUG") == "1"
SANITIZE = os.environ.get("NACOSX_SANITIZE") == "1"
ANNOTATE = os.environ.get("NACOSX_ANNOTATE") == "1"

# What a module needs beyond the C library.
LIBRARIES = {
    "http2": ["nghttp2"],
    "grpc_call": ["nghttp2"],
    "disk": ["pthread"],
    "disk_thread": ["pthread"],
    "flush": ["pthread"],
    "wal": ["pthread"],
}

compile_args = ["-O0", "-g3", "-UNDEBUG"] if DEBUG else ["-O3", "-g0", "-fno-plt", "-DNDEBUG"]
link_args: list[str] = []
if SANITIZE:
    sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined"]
    compile_args += [*sanitizers, "-g"]
    link_args += sanitizers


def extension(source: Path) -> Extension:
    name = source.stem
    return Extension(
        f"nacosx._core.{name}",
        [str(source)],
        libraries=LIBRARIES.get(name, []),
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


setup(
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
    ext_modules=cythonize(
        [extension(path) for path in sorted(Path("nacosx/_core").glob("*.pyx"))],
        compiler_directives={
            "language_level": "3",
            "boundscheck": DEBUG,
            "wraparound": DEBUG,
            "initializedcheck": DEBUG,
            "cdivision": True,
            "embedsignature": False,
            "auto_pickle": False,
            "freethreading_compatible": False,
        },
        annotate=ANNOTATE,
        nthreads=os.cpu_count() or 1,
    ),
)
