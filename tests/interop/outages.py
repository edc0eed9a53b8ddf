"""When a client dies, and when the server is away for a moment."""

from __future__ import annotations

from typing import Any

from tests.interop.config import GROUP as CONFIG_GROUP
from tests.interop.config import check_notified, is_config, wait_listening
from tests.interop.naming import GROUP, SEEN_S_MAX, addresses, instance, wait_event
from tests.interop.observer import Observer
from tests.server import ServerProcess, wait_until

RECOVERED_S_MAX = 45.0

# What a 1.x client may ask for; a gRPC client's instance goes with its connection, at once.
QUICK_EXPIRY = {
    "preserved.heart.beat.interval": "1000",
    "preserved.heart.beat.timeout": "3000",
    "preserved.ip.delete.timeout": "5000",
}


class TestOutages:
    def test_the_instance_of_a_killed_client_disappears(
        self,
        sdk_client: Any,
        second_driver: Any,
        observer: Observer,
        module_server: ServerProcess,
        service: str,
    ) -> None:
        """kill -9: no good-bye. Observers and subscribers see it go."""
        doomed_driver = second_driver()
        doomed = doomed_driver.open("doomed", module_server.address)
        subscriber = sdk_client("subscriber")
        subscriber.do("subscribe", service=service, group=GROUP, clusters=[])
        observer.register(service, GROUP, instance(1))
        doomed.do("register", service=service, group=GROUP, instance=instance(2, metadata=QUICK_EXPIRY))
        wait_event(subscriber, service, {1, 2}, 0)
        since = subscriber.mark()
        doomed_driver.kill()
        gone_s_max = 3.0 if subscriber.sdk.grpc else 14.0
        wait_until(lambda: observer.addresses(service, GROUP) == {"10.1.2.3:1"}, "the instance is gone", gone_s_max)
        wait_event(subscriber, service, {1}, since)

    def test_a_client_recovers_by_itself_when_the_server_restarts(
        self, client: Any, observer: Observer, module_server: ServerProcess, service: str, data_id: str
    ) -> None:
        """Its instance comes back, its subscription and its listener work again, its config was never lost."""
        own, other = f"{service}-own", f"{service}-other"
        client.do("register", service=own, group=GROUP, instance=instance(1))
        client.do("subscribe", service=other, group=GROUP, clusters=[])
        client.do("publish", data_id=data_id, group=CONFIG_GROUP, content="kept")
        client.do("listen", data_id=data_id, group=CONFIG_GROUP)
        wait_listening(client, observer, data_id)
        observer.publish(data_id, CONFIG_GROUP, "kept for ever")
        client.wait_event(is_config(data_id, "kept for ever"), "the last word before the restart", SEEN_S_MAX)

        module_server.restart()

        assert observer.get(data_id, CONFIG_GROUP) == "kept for ever"
        wait_until(
            lambda: observer.addresses(own, GROUP) == addresses([instance(1)]), "the instance is back", RECOVERED_S_MAX
        )
        if "resubscribe" in client.sdk.cannot:
            client.do("subscribe", service=other, group=GROUP, clusters=[])
        since = client.mark()
        observer.register(other, GROUP, instance(5))
        wait_event(client, other, {5}, since, RECOVERED_S_MAX)
        wait_listening(client, observer, data_id)
        check_notified(client, data_id, "after the restart", lambda text: observer.publish(data_id, CONFIG_GROUP, text))
