"""The room of service discovery: pure rules, no IO, no clock, no randomness.

The words (Nacos 2.x client model, contract/semantics.md §2):

* A **service** is (namespace, group, name). Whether it is ephemeral is fixed by its first registration until it is removed.
* A **client** is a gRPC connection (`<ms>_<ip>_<port>`) or an address (`ip:port#true` ephemeral, `ip:port#false` persistent).
  A client publishes at most one entry (one instance, or one batch) per service and subscribes per service.
* The instances of a service are the union over its publishing clients.
* **Metadata overlays** (weight, enabled, metadata of an instance; threshold, selector, clusters of a service) are an
  operator's word: they win over what a client published and survive its re-registration.

::

    commands ─→ registry.apply ─→ events            views(registry) ─→ what a query or a push shows
                    │
               model (state)                        health: what is due at a given time

Invariant: only `Registry.apply` changes state; the same commands in the same order give the same state on every node.
"""
