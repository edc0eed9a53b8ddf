"""The desk: one file per generation and domain. Turns a request into a command or a view, and the result into a reply.

http         the seam to wire.http: Route, Response builders, parameter access
grpc         the seam to wire.grpc: Connection, Rpc
jackson      JSON bodies, read as leniently as the Java server reads them
namespaces   the spellings of the default namespace
checks       names, lengths and characters (the parameter checker of Nacos 2.2.3+)
config_form  what a client asks for when it publishes or removes, in either protocol, and the command it becomes
config_http  how the v1 APIs of configuration and console word parameters, refusals and headers
naming_v1, naming_grpc, config_v1, config_grpc, console_v1, internal_grpc   the handlers

`config_v1` holds the routes; what they lead to is in config_v1_content (read, publish, delete), config_v1_details (one config
in full, search), config_v1_history and config_v1_listener (polls, who listens).
"""
