"""Service discovery as an SDK sees it: every scenario once, for every client."""

from __future__ import annotations

from typing import Any

from tests.interop.driver import Client
from tests.interop.observer import Observer
from tests.interop.sdk import needs
from tests.server import wait_until

GROUP = "interop"
SEEN_S_MAX = 5.0
PUSHED_S_MAX = 3.0  # the SDKs that poll as well do it every 10 s, so this is a push


def instance(port: int, **more: Any) -> dict[str, Any]:
    usual = {"weight": 1.0, "enabled": True, "healthy": True, "ephemeral": True, "cluster": "DEFAULT", "metadata": {}}
    return {"ip": "10.1.2.3", "port": port, **usual, **more}


def addresses(instances: list[dict[str, Any]]) -> set[str]:
    return {f"{one['ip']}:{one['port']}" for one in instances}


def wait_event(client: Client, service: str, ports: set[int], since: int, seconds_max: float = PUSHED_S_MAX) -> float:
    """The client is told that the service now consists of exactly these ports."""
    wanted = {f"10.1.2.3:{port}" for port in ports}
    return client.wait_event(
        lambda event: (
            event["event"] == "service" and event["service"] == service and addresses(event["instances"]) == wanted
        ),
        f"{service} has the ports {sorted(ports)}",
        seconds_max,
        since,
    )


class TestNaming:
    def test_an_instance_is_seen_as_it_was_published_until_it_is_deregistered(
        self, client: Client, observer: Observer, service: str
    ) -> None:
        """Address, weight, cluster and metadata arrive unchanged; a second registration of the address replaces it."""
        published = instance(8081, weight=2.5, cluster="zone-a", metadata={"version": "1.2", "owner": "the team"})
        for weight in (2.5, 4.0):
            published["weight"] = weight
            client.do("register", service=service, group=GROUP, instance=published)
            wait_until(
                lambda: [one["weight"] for one in observer.instances(service, GROUP)] == [weight],  # noqa: B023
                f"an observer sees weight {weight}",
                SEEN_S_MAX,
            )
        [seen] = observer.instances(service, GROUP)
        assert published["metadata"].items() <= seen["metadata"].items()
        assert {name: seen[name] for name in published if name != "metadata"} == {
            name: value for name, value in published.items() if name != "metadata"
        }
        client.do("deregister", service=service, group=GROUP, instance=published)
        wait_until(lambda: not observer.instances(service, GROUP), "the instance is gone", SEEN_S_MAX)

    @needs("batch")
    def test_a_batch_is_the_whole_set_of_a_client(self, client: Client, observer: Observer, service: str) -> None:
        """Three at once, then a smaller batch, then fewer by deregistration."""
        several = [instance(port, metadata={"n": str(port)}) for port in (1, 2, 3)]
        client.do("batch", service=service, group=GROUP, instances=several)
        wait_until(lambda: addresses(several) == observer.addresses(service, GROUP), "all three are seen", SEEN_S_MAX)
        assert {one["metadata"]["n"] for one in observer.instances(service, GROUP)} == {"1", "2", "3"}
        client.do("batch", service=service, group=GROUP, instances=several[:2])
        wait_until(
            lambda: addresses(several[:2]) == observer.addresses(service, GROUP), "the first two remain", SEEN_S_MAX
        )

    @needs("batch", "batch_remove")
    def test_a_batch_shrinks_by_deregistration(self, client: Client, observer: Observer, service: str) -> None:
        """What is deregistered goes, the rest of the batch stays."""
        several = [instance(port) for port in (1, 2, 3)]
        client.do("batch", service=service, group=GROUP, instances=several)
        wait_until(lambda: addresses(several) == observer.addresses(service, GROUP), "all three are seen", SEEN_S_MAX)
        client.do("batch_remove", service=service, group=GROUP, instances=several[1:])
        wait_until(
            lambda: addresses(several[:1]) == observer.addresses(service, GROUP), "the first one remains", SEEN_S_MAX
        )

    @needs("several")
    def test_a_client_holds_several_instances_of_a_service(
        self, client: Client, observer: Observer, service: str
    ) -> None:
        """1.x clients publish by address: each registration adds one."""
        several = [instance(port) for port in (1, 2, 3)]
        for one in several:
            client.do("register", service=service, group=GROUP, instance=one)
        wait_until(lambda: addresses(several) == observer.addresses(service, GROUP), "all three are seen", SEEN_S_MAX)
        client.do("deregister", service=service, group=GROUP, instance=several[1])
        wait_until(
            lambda: addresses([several[0], several[2]]) == observer.addresses(service, GROUP),
            "the deregistered one is gone",
            SEEN_S_MAX,
        )

    @needs("persistent")
    def test_a_persistent_instance_outlives_its_client(self, sdk_client: Any, observer: Observer, service: str) -> None:
        """It stays when the client closes, and another client of the same kind takes it out."""
        kept = instance(8082, ephemeral=False, metadata={"kind": "persistent"})
        first = sdk_client("first")
        first.do("register", service=service, group=GROUP, instance=kept)
        wait_until(lambda: addresses([kept]) == observer.addresses(service, GROUP), "it is seen", SEEN_S_MAX)
        first.close()
        second = sdk_client("second")
        [seen] = observer.instances(service, GROUP)
        assert (seen["ephemeral"], seen["metadata"]["kind"]) == (False, "persistent")
        second.do("deregister", service=service, group=GROUP, instance=kept)
        wait_until(lambda: not observer.instances(service, GROUP), "it is gone", SEEN_S_MAX)

    def test_a_selection_obeys_health_enablement_and_cluster(
        self, client: Client, observer: Observer, service: str
    ) -> None:
        """Disabled ones never show; unhealthy ones only when all are asked for."""
        healthy, elsewhere = instance(1), instance(4, cluster="zone-b", weight=3.0)
        sick, disabled = instance(2, healthy=False), instance(3, enabled=False)
        for one in (healthy, sick, disabled, elsewhere):
            observer.register(service, GROUP, one)

        def selected(healthy_only: bool, *clusters: str) -> set[str]:
            answer = client.do("select", service=service, group=GROUP, clusters=list(clusters), healthy=healthy_only)
            return addresses(answer)

        assert selected(False) == addresses([healthy, sick, elsewhere])
        assert selected(True) == addresses([healthy, elsewhere])
        assert selected(True, "zone-b") == addresses([elsewhere])
        [seen] = client.do("select", service=service, group=GROUP, clusters=["zone-b"], healthy=True)
        assert (seen["weight"], seen["cluster"], seen["healthy"]) == (3.0, "zone-b", True)
        if "one" not in client.sdk.cannot:
            chosen = [client.do("one", service=service, group=GROUP, clusters=[]) for _ in range(20)]
            assert addresses(chosen) <= addresses([healthy, elsewhere])

    def test_a_service_nobody_registered_is_empty_and_not_an_error(self, client: Client, service: str) -> None:
        """The Java server answers an unknown service with an empty list."""
        assert client.do("select", service=service, group=GROUP, clusters=[], healthy=False) == []

    def test_a_subscriber_is_told_of_every_change(self, client: Client, observer: Observer, service: str) -> None:
        """Added, added, changed, removed: each reaches the subscriber by itself."""
        since = client.mark()
        client.do("subscribe", service=service, group=GROUP, clusters=[])
        observer.register(service, GROUP, instance(1))
        wait_event(client, service, {1}, since)
        observer.register(service, GROUP, instance(2))
        wait_event(client, service, {1, 2}, since)
        observer.register(service, GROUP, instance(2, metadata={"colour": "blue"}))
        client.wait_event(
            lambda event: {"colour": "blue"} in [one["metadata"] for one in event.get("instances", [])],
            "the new metadata",
            PUSHED_S_MAX,
            since,
        )
        since = client.mark()
        observer.deregister(service, GROUP, instance(1))
        wait_event(client, service, {2}, since)

    @needs("unsubscribe")
    def test_an_unsubscribed_client_is_left_alone(self, sdk_client: Any, observer: Observer, service: str) -> None:
        """A change that reaches one subscriber does not reach the one that left."""
        staying, leaving = sdk_client("staying"), sdk_client("leaving")
        for client in (staying, leaving):
            client.do("subscribe", service=service, group=GROUP, clusters=[])
        observer.register(service, GROUP, instance(1))
        for client in (staying, leaving):
            wait_event(client, service, {1}, 0)
        leaving.do("unsubscribe", service=service, group=GROUP, clusters=[])
        since = leaving.mark()
        observer.register(service, GROUP, instance(2))
        wait_event(staying, service, {1, 2}, 0)
        assert leaving.mark() == since

    def test_a_client_is_told_of_what_another_client_does(
        self, sdk_client: Any, observer: Observer, service: str
    ) -> None:
        """The same SDK on both ends."""
        publisher, subscriber = sdk_client("publisher"), sdk_client("subscriber")
        subscriber.do("subscribe", service=service, group=GROUP, clusters=[])
        publisher.do("register", service=service, group=GROUP, instance=instance(7))
        wait_event(subscriber, service, {7}, 0)
        since = subscriber.mark()
        observer.register(service, GROUP, instance(8))
        wait_event(subscriber, service, {7, 8}, since)
        publisher.do("deregister", service=service, group=GROUP, instance=instance(7))
        wait_event(subscriber, service, {8}, since)

    def test_a_namespace_is_a_world_of_its_own(self, sdk_client: Any, observer: Observer, service: str) -> None:
        """The same service name in another namespace is another service."""
        client = sdk_client("elsewhere", namespace="interop-naming")
        client.do("register", service=service, group=GROUP, instance=instance(1))
        wait_until(
            lambda: observer.addresses(service, GROUP, "interop-naming") == {"10.1.2.3:1"}, "it is seen", SEEN_S_MAX
        )
        assert observer.instances(service, GROUP) == []

    def test_the_public_namespace_has_more_than_one_name(self, sdk_client: Any, service: str) -> None:
        """What a client of '' registers, a client of 'public' finds."""
        nameless, named = sdk_client("nameless", namespace=""), sdk_client("named", namespace="public")
        named.do("subscribe", service=service, group=GROUP, clusters=[])
        nameless.do("register", service=service, group=GROUP, instance=instance(1))
        wait_event(named, service, {1}, 0)
        assert addresses(nameless.do("select", service=service, group=GROUP, clusters=[], healthy=True)) == {
            "10.1.2.3:1"
        }
