"""A member whose state is not what the log says: `python -m nacosx`, and one config is something else here."""

from __future__ import annotations

import msgspec

from nacosx.cli import main
from nacosx.config.catalog import Catalog
from nacosx.config.commands import PublishConfig
from nacosx.config.events import Event

ODD = "something-else-at-one-member"

publish = Catalog._publish


def publish_something_else(catalog: Catalog, command: PublishConfig) -> list[Event]:
    events = publish(catalog, command)
    if command.key.data_id == ODD:
        catalog.configs[command.key] = msgspec.structs.replace(catalog.configs[command.key], content=b"something else")
    return events


if __name__ == "__main__":
    Catalog._publish = publish_something_else  # type: ignore[method-assign]
    main()
