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

Real, the code of the product, unchanged: the rules (`nacosx.raft`), all of `nacosx.engine.raft` (group, apply queue on the ring,
FSMCaller, snapshots, reads, forwarding, membership), `RaftNode`, `Ticker` and its wheel, the entries and their checksums; in half of
the seeds also the bytes of messages (`wire.peers_messages`).
Simulated: clocks and the event loop, the network and the calls on it (connections, handshakes, back-pressure and deadlines of
`wire.peers` are not here: tests/unit/wire and tests/cluster try them), the disk with its log, hard state and snapshots (what
`_core.wal` and `storage` do after a crash is tried by tests/unit/core, tests/unit/storage and tests/durability; the disk here keeps
the same promises, and breaks them in the same ways), the state machine (`registers`), and threads: what is handed to one happens
at once, a while later. Each host has one group: that a process may hold many is tried by tests/unit/engine/test_raft_node.

Nothing here depends on the machine: the same seed gives the same trace, always. Shrinking relies on more: leaving an action
out changes as little else as can be, so every source of chance is drawn from its own seed.
"""
