"""`bench serve`: the same scenarios against nacosx and r-nacos, side by side.

The server runs on core 0, the load on core 1; each round starts a fresh server on a fresh data directory, warms it up,
measures, waits until the server rests again (what it puts off belongs to its bill), and reads samples of what it
acknowledged back. Rounds of both sides alternate; medians count. The metric is the CPU time of all threads of the
server for each answered request.

The journey of a measurement::

    command ─ Scenario.measure ─→ servers.started ─→ requests | fanout | memory | startup ─→ closed_loop.run ─→ report
                                                      dialects: what clients say              lines: sockets

command       options, rounds, medians
bars          what is promised, in the issue's words
scenario      what a scenario is, and how big a round is
servers       nacosx and r-nacos as processes: start, soundness, stop;  rivals: where r-nacos comes from
requests      register, beat, list, get, publish over HTTP v1 and gRPC, 16 connections with one request in flight each
fanout        a change until 200 subscribers have it
memory        RSS at rest, with 100 000 instances, with 10 000 configs
startup       exec until a gRPC registration succeeds
closed_loop   the load itself;  http_line, grpc_line: its connections
dialect       what a client says;  http_dialect: Java client 1.4.7,  grpc_dialect: Java client 2.5.1, both as recorded
meter         CPU time and memory as the kernel counts them
"""
