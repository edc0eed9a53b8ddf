"""The compiled core under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.server import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STEP_S_MAX = 880


def test_the_core_and_its_fuzzers_are_clean_under_the_sanitizers() -> None:
    """ci/sanitize builds the core with both and runs its tests; any report ends the process."""
    done = subprocess.run(
        ["ci/sanitize"],
        cwd=ROOT,
        env={**os.environ, "NACOSX_PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STEP_S_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    assert re.search(r"^\d+ passed.* in ", done.stdout, re.M)
