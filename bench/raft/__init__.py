"""`bench raft`: a Raft group of three beside SOFAJRaft's, and three members end to end beside etcd.

All members are on this machine and all sides stay up for the whole run; while one is measured the others stand still (SIGSTOP).
Rounds of the sides alternate; medians count. Everything is durable on both sides before it is acknowledged (fdatasync; what
`--data` names should be a real disk).

commit, read index    the load is in the leader's process and keeps so many in flight: ours in three processes over Cap'n Proto,
                      SOFAJRaft's three nodes in one JVM, as their own benchmark and the house's figure have it
put                   the load is a process of its own, ten clients with a gRPC call each on a connection, all to the leader
fail-over             the leader is killed (SIGKILL); the time until another one has committed an entry

::

    command ─ Scenario ─→ Side ─┬─ members: bench.raft.member (our three processes) ─ load, in_flight (compiled)
                                ├─ sofajraft: java/RaftNodes.java
                                └─ etcd: three etcd processes
                          put_lines: what clients say;  puts, put_calls (compiled): the load of the puts

Debian's etcd-server (`apt-get install etcd-server etcd-client`) and a JDK with Maven are wanted.
"""
