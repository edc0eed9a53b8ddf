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

Nothing here depends on the machine: the same seed gives the same trace, always. Shrinking relies on more: leaving an action
out changes as little else as can be, so every source of chance is drawn from its own seed.
"""
