"""What differs from the Java server and why: the one place for it. Anything else that differs fails the test.

A difference has a place: `status`, `header <name>`, `body`, or a path into the JSON body. Patterns are those of fnmatch; each
must be needed.
"""

from __future__ import annotations

from typing import NamedTuple

HASH_ORDER = (
    "The Java server lists them in the order of a hash set, which is accidental; ours is the order of registration."
)


class Explained(NamedTuple):
    places: tuple[str, ...]
    why: str


# Lists whose order is accidental: compared as sets.
UNORDERED: dict[str, Explained] = {
    "194-ns-service-list": Explained(("body.doms",), HASH_ORDER),
    "199-ns-service-names": Explained(("body.META-INF/services.public",), HASH_ORDER),
    "205-ns-catalog-services": Explained(("body.serviceList",), HASH_ORDER),
    "207-ns-catalog-services-withInstances": Explained(("body",), HASH_ORDER),
}

EXPLAINED: dict[str, Explained] = {
    "048-cs-get-tenant-public": Explained(
        ("status", "header *", "body"),
        "'' and public are one namespace in every protocol here, as in Nacos 3.x; 2.5.1 finds nothing under the name it "
        "published to a moment ago (observed.md 2, 3, 24).",
    ),
    "069-cs-listener-two-changed": Explained(("body",), "Hash order of a map; ours is the order the client asked in."),
    "110-cs-delete-tag": Explained(
        ("status", "header connection", "header content-type", "body"),
        "2.5.1 takes the tag for the name of a gray version (it is called tag_tg1) and throws a NullPointerException; here "
        "both are understood, as 1.4 does the tag.",
    ),
    "175-ns-beat-malformed": Explained(
        ("body.message",),
        "The reason within the text is the JSON reader's own: Jackson's there, msgspec's here.",
    ),
    "195-ns-service-list-page2": Explained(("body.doms[[]1]",), HASH_ORDER),
    "217-ns-health-update-none-checker": Explained(
        ("status", "header connection", "body"),
        "2.5.1 cannot set the health of a persistent instance: it registers it as ephemeral and refuses itself "
        "(observed.md 25). Here it works as contract/http-v1-naming.md §5 says.",
    ),
    "219-ns-operator-metrics-full": Explained(
        ("body.serviceCount", "body.clientCount", "body.persistentIpPortClientCount", "body.responsibleClientCount"),
        "The Java server's gauge of services lags by up to a minute; and the client of a refused registration (147) "
        "lingers there.",
    ),
    "291-namespaces-list": Explained(
        ("body.data[[]0].configCount",),
        "Fewer configs, because import, clone and the v2 publish are not replayed.",
    ),
    "301-namespaces-detail-public": Explained(("body.configCount",), "As 291."),
    "305-namespaces-list2": Explained(("body.data[[]0].configCount",), "As 291."),
    "308-v2-namespace-list": Explained(("body.data[[]0].configCount",), "As 291."),
}


class NotReplayed(NamedTuple):
    path: str  # how the path begins below the context path; `*` ends a query
    why: str


LATER = "is not among the endpoints of the first issue"

NOT_REPLAYED: tuple[NotReplayed, ...] = (
    NotReplayed("/v2/cs/", f"configuration over HTTP v2 {LATER}"),
    NotReplayed("/v2/ns/", f"naming over HTTP v2 {LATER}"),
    NotReplayed("/v2/core/", f"cluster and core operations over HTTP v2 {LATER}"),
    NotReplayed("/actuator", f"actuator {LATER}"),
    NotReplayed("/prometheus", f"Prometheus service discovery {LATER}"),
    NotReplayed("/v1/core/", f"cluster and core operations: a stand-alone server has no members; {LATER}"),
    NotReplayed("/v1/cmdb/", f"CMDB {LATER}"),
    NotReplayed("/v1/console/server/announcement", f"the console's announcement {LATER}"),
    NotReplayed("/v1/console/server/guide", f"the console's guide {LATER}"),
    NotReplayed("/v1/cs/capacity", f"capacity {LATER}"),
    NotReplayed("/v1/cs/metrics/", f"client metrics {LATER}"),
    NotReplayed("/v1/cs/ops/", f"config operations (Derby, dumps, log levels) {LATER}"),
    NotReplayed("/v1/cs/configs?export", f"export {LATER}"),
    NotReplayed("/v1/cs/configs?import", f"import {LATER}"),
    NotReplayed("/v1/cs/configs?clone", f"clone {LATER}"),
)


def reason_not_to_replay(target: str) -> NotReplayed | None:
    path = target.removeprefix("/nacos")
    return next((each for each in NOT_REPLAYED if path.startswith(each.path)), None)
