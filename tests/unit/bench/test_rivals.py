"""r-nacos is found where it is named, or built once; who waits for that is told why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.serve import rivals


@pytest.fixture(autouse=True)
def found_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty cache, nothing named, and a `cargo` of whoever puts one into `tmp_path`."""
    monkeypatch.delenv(rivals.RNACOS_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    rivals.rnacos.cache_clear()
    yield
    rivals.rnacos.cache_clear()


def command(path: Path, *lines: str) -> None:
    path.write_text("\n".join(("#!/bin/sh", *lines)))
    path.chmod(0o755)


def test_a_build_says_that_it_goes_on_and_how_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(tmp_path / "rnacos", f"echo rnacos {rivals.RNACOS_VERSION}")
    command(tmp_path / "cargo", 'mkdir -p "$6/bin"', f'cp {tmp_path / "rnacos"} "$6/bin/"')
    assert (
        rivals.rnacos() == tmp_path / "caches" / "nacosx-bench" / f"rnacos-{rivals.RNACOS_VERSION}" / "bin" / "rnacos"
    )
    said = capsys.readouterr().err
    assert f"building r-nacos {rivals.RNACOS_VERSION}" in said
    assert f"{rivals.BUILD_MINUTES} minutes" in said
    rivals.rnacos.cache_clear()
    rivals.rnacos()
    assert capsys.readouterr().err == "", "it is built once"


def test_a_build_that_fails_is_told_with_its_command(tmp_path: Path) -> None:
    command(tmp_path / "cargo", "exit 1")
    with pytest.raises(rivals.RivalError, match=r"cargo install rnacos .* failed"):
        rivals.rnacos()


def test_a_binary_that_is_named_must_be_there_and_of_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rivals.RNACOS_VARIABLE, str(tmp_path / "other"))
    with pytest.raises(rivals.RivalError, match="does not exist"):
        rivals.rnacos()
    command(tmp_path / "other", "echo rnacos 0.0.1")
    with pytest.raises(rivals.RivalError, match=r"is not r-nacos .* but rnacos 0\.0\.1"):
        rivals.rnacos()
