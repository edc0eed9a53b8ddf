"""The desk: one file per generation and domain. Turns a request into a command or a view, and the result into a reply.

http         the seam to wire.http: Route, Response builders, parameter access
grpc         the seam to wire.grpc: Connection, Rpc
namespaces   the spellings of the default namespace
checks       names, lengths and characters (the parameter checker of Nacos 2.2.3+)
naming_v1, naming_grpc, config_v1, config_grpc, console_v1, internal_grpc   the handlers
"""
