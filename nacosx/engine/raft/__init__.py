"""One Raft group after another: carries out what the rules (`nacosx.raft`) say, on disk, to the other members, on the machine.

group     one group of this process;  node  all of them;  metrics, limits, refusals  numbers; limits; errors
apply_queue, closure_queue, fsm_caller   the way of a proposal: to the rules, waiting for its entry, applied
disk_operations     what a group writes, and what becomes of it when the disk refuses
snapshot_executor   snapshots, taken and installed
read_only_service   linearizable reads
forwarder           proposals handed to the leader
membership, member_operations   changes of the members
state_digests       who holds another state than the others
recovery            how a group comes back from disk
alone               the other members of a group that has none
"""
