"""The rules of Raft: one member of a group as a deterministic machine, without clock, disk or network.

::

    step(sender, message)  tick(now)  propose(data)  read(request)  change(members)      what happens
               └──────────────────────┬──────────────────────────────────┘
                                     Node ── ready() ──→ Ready                             what is to be done
                                      ↑                    │ hard state, entries, messages, commit index, reads
               stable  hard_state_saved  applied  disk_failed  snapshot_…                  what came of it

The shape is that of etcd's raft; the parts, features, names and defaults are those of SOFAJRaft 1.3.14. References are to
the Raft paper (§) and to Ongaro's thesis.

Driving a node, each turn::

    ready = node.ready()                          None: nothing to do
    hard_state     save it, durably; then node.hard_state_saved. Before that send nothing and append nothing
    messages       send them; they never wait for the entries of this Ready
    entries        queue truncate_suffix, then the append; node.stable(last index, its term, now) when the disk reports it
    commit_index   apply up to there; node.applied
    reads          serve each once its index is applied, or refuse it
    snapshot       fetch what the leader offers; before the log is reset ask node.snapshot_wanted again, and without another
                   call in between reset the log and call node.snapshot_installed. On failure node.snapshot_failed
    leadership     tell who wants to know; when the term is another, a leader has stopped and begun
    then arm one timer at node.wakes_ms, and call ready() again: what came of this may want more done

A write that failed: node.disk_failed, once, with the end of what is on disk. Then the node knows what it would know after a
restart. A hard state that cannot be saved is such a failure, too: until one is saved nothing may be sent or appended, and the
messages of a Ready are as good as lost on the way.

What must hold of the clock: `now_ms` is monotonic, and that of `read` is taken when it is called. ReadIndex needs no more.
A lease needs that no member's clock runs faster than the leader's by more than leader_lease_time_ratio leaves; a clock that
jumps breaks it, a process that is stopped does not.

node          the member: what it is told and asked, and its roles       state       what it knows in every role
messages      what members say                                           ready       what it wants done
following     a follower appends and confirms                            leading     a leader, for one term
replicator    what a leader knows of one member                          ballot_box  what a quorum has on disk
election      patience, priority, votes                                  reads       ReadIndex and lease
membership    configurations in the log, and the way from one to another transfer    handing over
log           the tail in memory over the storage                        quorum      majorities, joint ones too
member        how a configuration writes one                             options, errors
"""
