"""What clients are told without asking.

pusher           service pushes: merge, delay, ack, retry
datagram_pushes  the UDP half of it: envelope, ack, one resend
listeners        config listeners of gRPC connections: change notifications, retries
long_polls       config listeners of 1.x clients: requests that wait
"""
