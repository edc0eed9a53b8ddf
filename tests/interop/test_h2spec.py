"""The HTTP/2 conformance tests of h2spec against a started server: all pass but those that are explained here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.interop.sdk import BUILT, ToolchainMissingError, go_tool, run, skip_without_toolchain
from tests.server import ServerProcess

pytestmark = pytest.mark.interop

MODULE = "github.com/summerwind/h2spec/cmd/h2spec"
VERSION = "v2.2.1+incompatible"
TESTS_MIN = 145
RUN_S_MAX = 120
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 §2.2

AFTER_THE_END = (
    "nghttp2 drops DATA on a stream that is over: a client may have sent it before it heard of the end. Whether h2spec's "
    "frame comes before or after our answer is a race, so some runs pass"
)

# (section, test) → why it may fail.
EXPLAINED = {
    (
        "http2/3.5",
        "Sends invalid connection preface",
    ): "the port serves HTTP/1.1, too: what does not begin with the preface is answered there, with 400",
    ("http2/5.1", "half closed (remote): Sends a DATA frame"): AFTER_THE_END,
    ("http2/5.1", "closed: Sends a DATA frame after sending RST_STREAM frame"): AFTER_THE_END,
    ("http2/5.1", "closed: Sends a DATA frame"): AFTER_THE_END,
    (
        "http2/6.1",
        'Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state',
    ): AFTER_THE_END,
    (
        "http2/5.3.1",
        "Sends PRIORITY frame that depend on itself",
    ): "RFC 9113 has no priorities, SETTINGS_NO_RFC7540_PRIORITIES says so, and nghttp2 ignores the frame",
    (
        "http2/6.10",
        "Sends multiple CONTINUATION frames preceded by a HEADERS frame",
    ): "the header list is larger than SETTINGS_MAX_HEADER_LIST_SIZE (8192, as grpc-java); see the test with smaller ones",
}


@pytest.fixture(scope="module")
def h2spec() -> str:
    """go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"""
    folder = BUILT / f"h2spec-{VERSION}"
    command = folder / "h2spec"
    if not command.exists():
        try:
            go = go_tool()
        except ToolchainMissingError as missing:
            skip_without_toolchain("h2spec", missing)
        folder.mkdir(parents=True, exist_ok=True)
        run(go, "install", f"{MODULE}@{VERSION}", cwd=folder, GOBIN=str(folder), GOTOOLCHAIN="local")
    return str(command)


def failures(
    h2spec: str, server: ServerProcess, report: Path, *arguments: str
) -> tuple[int, dict[tuple[str, str], str]]:
    """(number of tests, (section, test) → what was expected and seen)."""
    subprocess.run(
        [h2spec, *arguments, "-h", server.host, "-p", str(server.grpc_port), "-o", "1", "-j", str(report)],
        capture_output=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    # What it saw stands in the report byte for byte, also where XML allows no such character.
    text = ILLEGAL.sub("?", report.read_text(encoding="utf-8", errors="replace"))
    cases = list(ElementTree.fromstring(text).iter("testcase"))
    failed = {
        (case.get("package", ""), case.get("classname", "")): "".join(bad.itertext())
        for case in cases
        for bad in (*case.iter("failure"), *case.iter("error"))
    }
    return len(cases), failed


def test_the_server_conforms_to_http2(h2spec: str, module_server: ServerProcess, tmp_path: Path) -> None:
    """RFC 9113 and RFC 7541, section by section."""
    count, failed = failures(h2spec, module_server, tmp_path / "report.xml")
    assert count >= TESTS_MIN
    assert {test: seen for test, seen in failed.items() if test not in EXPLAINED} == {}


def test_a_head_may_come_in_several_frames(h2spec: str, module_server: ServerProcess, tmp_path: Path) -> None:
    """The explained test of CONTINUATION, with header fields that keep within the limit."""
    count, failed = failures(
        h2spec, module_server, tmp_path / "report.xml", "http2/6.10/1", "--max-header-length", "1000"
    )  # fmt: skip
    assert (count, failed) == (1, {})
