"""The `nacosx` command. Parsing only: what it starts is `server`."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import click

from nacosx import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nacosx", message="%(prog)s %(version)s")
def main() -> None:
    """A Nacos server: service discovery and configuration for unmodified Nacos clients."""


@main.command()
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Nacos home: reads conf/application.properties, writes data/nacosx. [default: $NACOS_HOME or ~/nacos]",
)
@click.option("--host", default=None, help="Address to listen on. [default: 0.0.0.0]")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Main port; 0: a free pair. [default: 8848]")
@click.option("--grpc-port", type=click.IntRange(1, 65535), default=None, help="gRPC port. [default: main port + 1000]")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is written to standard error.",
)
def start(home: Path | None, host: str | None, port: int | None, grpc_port: int | None, log_level: str) -> None:
    """Start the server and run until SIGTERM or SIGINT."""
    # Nothing that is made until the server is ready is ever given back: looking for garbage in it takes a tenth of the start.
    gc.disable()
    from nacosx import server, settings  # `--version` and `--help` need none of it

    home = home or Path(os.environ.get("NACOS_HOME") or Path.home() / "nacos")
    flags = {"host": host, "port": port, "grpc_port": grpc_port}
    try:
        loaded, warnings = settings.load(home=home.absolute(), environment=os.environ, flags=flags)
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(server.run(loaded, warnings=warnings, log_level=log_level))
