"""Sockets. The doors: they know bytes and protocols, nothing of naming or configuration.

listener    one port, both protocols: the first bytes tell HTTP/1.1 from h2c; TLS later
http        an HTTP/1.1 connection: keep-alive, pipelining, timeouts, drain; routes requests to the desk
multipart   the fields of multipart/form-data bodies
grpc        what gRPC connections share: who is registered, pushes, the ejector, the orderly stop
grpc_connection   one of them: unary and stream calls, handshake, pushes with acks, detection
peers       the other members of the cluster, over Cap'n Proto RPC (nacosx.capnp); imported only when there are any
peers_link  a connection made to one; peers_door: those they make to this one; peers_proof: the handshake; peers_tls
peers_messages, peers_stream   messages and bytes ⇄ pycapnp and the calls of _core.capnp_call beside it
udp         the datagram door of 1.x push
"""
