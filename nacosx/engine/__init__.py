"""Everything asyncio: it pumps the pure rooms. Every task, queue, retry and limit lives here.

ports       what the engine needs from outside: pushes, datagrams, log storage, snapshots, rows
ticker      one hashed-wheel timer, one wake-up of the event loop
timer_thread      the same wheel in a thread of its own
repeated_timer    a timer that begins anew after every run, on either of the two
gateway     the single way to change state: `submit` (ephemeral, at once) and `propose` (durable, when on disk)
log_group   the group of one that makes a command durable: encode → log → applied in order → answered; snapshots
recovery    how the rooms come back from disk
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
