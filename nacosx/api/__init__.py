"""The desk: turns a request into a command or a view, and the result into a reply. A package for each generation of clients.

v1, grpc     the handlers, by generation
http         the seam to wire.http, of every HTTP generation: Route, Response builders
later        an answer that waits for a write
form         parameters of HTTP requests, read as the Java server reads them
jackson      JSON bodies, read as leniently as the Java server reads them
namespaces   the spellings of the default namespace
checks       names, lengths and characters (the parameter checker of Nacos 2.2.3+)
config_form  what a client asks for when it publishes or removes, in either protocol, and the command it becomes
pages        what the Java server answers where no handler does
"""
