"""Everything asyncio: it pumps the pure rooms. Every task, queue, retry and limit lives here.

ports       what the engine needs from outside: pushes, datagrams, log storage, snapshots, rows
ticker      one hashed-wheel timer, one wake-up of the event loop
timer_thread      the same wheel in a thread of its own
repeated_timer    a timer that begins anew after every run, on either of the two
gateway     the single way to change state: `submit` (ephemeral, at once) and `propose` (durable, when on a majority of disks)
raft_group  one Raft group of this process: it carries out what the rules say; raft_node: all of them
disk_operations   what a group writes, and what becomes of it when the disk refuses
apply_queue, closure_queue, fsm_caller   the way of a proposal: to the rules, waiting for its entry, applied
snapshot_executor   snapshots, taken and installed;  read_only_service   linearizable reads
forwarder   proposals handed to the leader;  membership, member_operations   changes of the members
refusals, limits, raft_metrics   errors; limits; numbers
alone       the other members of a group that has none
state_digests   who holds another state than the others
recovery    how a group comes back from disk
rooms_machine   the rooms as the state machine of a group
address_book   which member of the cluster answers where
cluster_members   the founding of a cluster by cluster.conf, members that are new or were wiped, one state in all of them
rooms       the union of the durable commands, and the rooms behind one log
reactions   event type → who reacts
pusher      service pushes: merge, delay, ack, retry
datagram_pushes   the UDP half of it: envelope, ack, one resend
beats       the life of ip:port clients: unhealthy after 15 s, removed after 30 s
cleaner     empty services and forgotten metadata go
listeners   config listeners of gRPC connections: change notifications, retries
long_polls  config listeners of 1.x clients: requests that wait
retention   old config history goes
"""
