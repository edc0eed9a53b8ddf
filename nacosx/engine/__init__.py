"""Everything asyncio: it pumps the pure rooms. Every task, queue, retry and limit lives here.

ports       what the engine needs from outside: pushes, datagrams, peers, log storage, snapshots, rows
gateway     the single way to change state: `submit` (ephemeral, at once) and `propose` (durable, when on a majority of disks)
rooms       the union of the durable commands, and the rooms behind one log; rooms_machine: they as the machine of a group
raft        the groups that make commands durable
push        what clients are told: services, configs, over gRPC, UDP and long polls
reactions   event type → who reacts
beats       the life of ip:port clients: unhealthy after 15 s, removed after 30 s
cleaner     empty services and forgotten metadata go;  retention  old config history goes
cluster_members   founding by cluster.conf, members that are new or were wiped;  address_book  where they answer
ticker      one hashed-wheel timer, one wake-up of the event loop

For who builds on the core, as SOFAJRaft has them. The server needs neither: it has one loop, and its deadlines follow from
state (a group's from its rules), so whoever arms a timer anew decides how long it takes each time.
timer_thread      the same wheel in a thread of its own
repeated_timer    a timer that begins anew after every run, on either driver
"""
