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
                    │                               directory(registry) ─→ lists, catalog, clients, numbers
               model (state)                        health: the rules of the heart beat; expiry: what to forget

model, metadata, switches   the values: keys, instances, subscribers; what operators say; the SwitchDomain
service, client, registry   the state; sharing keeps equal parts of instances once
legality, refusals          what may be registered; why not, in the words of the Java server
selection, views, rendered  which instances are shown, as which bytes, and the bound on those kept
directory, health, expiry   read models; instance_ids, snapshot: ids that are drawn, the durable part as bytes
ephemeral   the ephemeral part as commands, to bring it back when the durable part was replaced

Invariants: only `Registry.apply` changes state; the same commands in the same order give the same state on every node. What
a durable command does depends on durable state only, so a replay of the log ends where the server was: what has to be
refused because of the state of now is asked by `Registry.check`, before the command is logged.
"""
