"""A whole cluster in one thread: the same rules, the same engine, and a time, network and disks that a seed decides.

::

    schedule ─seed→ script ─→ cluster ┬ host ┬ process: RaftGroup on a ProcessLoop, a ProcessClock, SimulatedPeers
                                      │      └ disk: log, hard state, snapshots
                                      ├ network, agenda (the time of the world)
                                      ├ clients ─history→ linearizable
                                      └ laws, asked after every step
    run        one script, to its end: the trouble stops, the cluster recovers, everything is judged
    campaign   many seeds on all cores
    shrink     the shortest script that fails in the same way
    broken     mistakes that must be found

Real, the code of the product: the rules (`nacosx.raft`), `nacosx.engine.raft` (group, apply queue on the ring, FSMCaller,
snapshots, reads, forwarding, membership), `RaftNode`, `Ticker` and its wheel, entries and their checksums; in half of the seeds
also the bytes of messages (`wire.peers_messages`), and in one of five a second group in every process (MULTI-RAFT-GROUP).

Simulated: clocks and event loops; the network and the calls over it (the connections, handshakes, limits and deadlines of
`wire.peers` are tried by tests/unit/wire and tests/cluster); the disk with its log, hard state and snapshots, which keeps the
promises of `storage` and breaks down as a disk does (what `_core.wal` and `storage` make of that is tried by tests/unit/core,
tests/unit/storage and tests/durability); the state machine (`registers`); and threads: what is handed to one happens at once, a
while later.

Nothing here depends on the machine: the same seed gives the same trace, always. Shrinking relies on more: leaving an action
out changes as little else as can be, so every source of chance is drawn from its own seed.
"""
