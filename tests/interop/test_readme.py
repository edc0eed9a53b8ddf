"""What the README tells people to type works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.interop.sdk import PYTHON_GRPC
from tests.server import ROOT, ServerProcess

pytestmark = pytest.mark.interop

README = (ROOT / "README.md").read_text("utf-8")


def block(heading: str, language: str) -> str:
    """The first fenced block in that language below the heading."""
    _, _, below = README.partition(f"\n## {heading}\n")
    found = re.search(rf"```{language}\n(.*?)```", below, re.S)
    assert found
    return found[1]


def run(command: list[str], cwd: Path) -> str:
    home = {**os.environ, "HOME": str(cwd)}  # where the SDK leaves its logs
    done = subprocess.run(command, cwd=cwd, env=home, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curl_lines_work_one_after_the_other(server: ServerProcess, tmp_path: Path) -> None:
    """Each is answered, and the answers are what the text promises."""
    lines = (
        block("With curl", "sh")
        .replace("127.0.0.1:8848", server.address)
        .replace("curl ", "curl -sS --fail-with-body ")
    )
    said = run(["sh", "-ec", lines.replace("\n", "\necho\n")], tmp_path)
    assert '"ip":"10.0.0.5","port":8080' in said
    assert "\ncolour=blue\n" in said
    assert '"namespace":"dev"' in said


def test_the_python_lines_work(server: ServerProcess, tmp_path: Path) -> None:
    """They register, list, publish and read back."""
    python = PYTHON_GRPC.install(PYTHON_GRPC)[0]
    script = tmp_path / "readme.py"
    script.write_text(block("With the Python SDK", "python").replace("127.0.0.1:8848", server.address))
    said = run([python, str(script)], tmp_path)
    assert "10.0.0.5" in said
    assert said.endswith("colour=blue\n")
