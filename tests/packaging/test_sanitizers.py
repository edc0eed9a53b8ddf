"""The compiled core under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STEP_S_MAX = 880


# A finding of each, in a library that a test calls.
FINDINGS = {
    "AddressSanitizer: heap-buffer-overflow": "int *cell = malloc(4); int found = cell[given]; free(cell); return found;",
    "runtime error: signed integer overflow": "return 0x7fffffff + given;",
}


def sanitized(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ci/sanitize", *arguments],
        cwd=ROOT,
        env={**os.environ, "NACOSX_PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STEP_S_MAX,
        check=False,
    )


def test_the_core_and_its_fuzzers_are_clean_under_the_sanitizers() -> None:
    """ci/sanitize builds the core with both and runs its tests; any report ends the process."""
    done = sanitized()
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    assert re.search(r"^\d+ passed.* in ", done.stdout, re.M)


@pytest.mark.parametrize("report", FINDINGS)
def test_a_finding_fails_and_its_report_is_printed(tmp_path: Path, report: str) -> None:
    source, library, test = tmp_path / "faulty.c", tmp_path / "faulty.so", tmp_path / "test_faulty.py"
    source.write_text(f"#include <stdlib.h>\nint faulty(int given) {{ {FINDINGS[report]} }}\n")
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
    subprocess.run(["cc", "-shared", "-fPIC", *sanitizers, source, "-o", library], check=True, timeout=STEP_S_MAX)
    test.write_text(f"import ctypes\n\n\ndef test_it() -> None:\n    ctypes.CDLL({str(library)!r}).faulty(1)\n")
    done = sanitized(str(test))
    assert done.returncode != 0
    assert report in done.stderr
    assert "#0" in done.stderr  # and where
