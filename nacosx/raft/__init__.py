"""The rules of Raft: a deterministic machine without clock, disk or network."""
