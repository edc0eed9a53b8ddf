"""The desk of 2.x and 3.x clients: requests of the gRPC door.

rpc       the seam to wire.grpc: Connection, Rpc
internal  server check, connection set-up, health check, detection, reset
naming    every request type of naming
config    every request type of configuration
"""
