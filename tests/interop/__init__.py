"""Real, unmodified client SDKs against a started nacosx.

Each SDK is driven by a small program in its own language (python/, node/, go/, java/) that speaks JSON lines: commands on
standard input, answers and events on standard output. A driver only maps commands to SDK calls. The scenarios are written
once, in `naming.py`, `config.py` and `outages.py`; a `test_<client>.py` says which client runs them.

Commands   {"id": 1, "client": "a", "do": "register", …}    →  {"id": 1, "value": …} or {"id": 1, "error": "…"}
Events     {"client": "a", "event": "service", …}  and  {"client": "a", "event": "config", …}
First line {"sdk": "…", "version": "…"}

One process holds any number of clients: `open` makes one, `close` ends it. What an SDK cannot do stands in `sdk.py`, with
the reason; a scenario that needs it is not collected for that SDK.

open        server "ip:port", namespace, folder (for caches and logs)
close
register    service, group, instance {ip, port, weight, enabled, healthy, ephemeral, cluster, metadata}
deregister  service, group, instance
batch       service, group, instances: the client's whole set for that service
batch_remove service, group, instances
select      service, group, clusters [..], healthy (true: only healthy ones)  →  [instance]
subscribe   service, group, clusters   →  events "service" {service, group, instances}
one         service, group, clusters  →  an instance that the SDK chose by weight
unsubscribe service, group, clusters
publish     data_id, group, content    →  true
get         data_id, group             →  content or null
cas         data_id, group, content, md5  →  true or false
remove      data_id, group             →  true
listen      data_id, group             →  events "config" {data_id, group, content}
unlisten    data_id, group
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(*(f"tests.interop.{name}" for name in ("naming", "config", "outages")))
