"""Disk, imported by `server` only.

log         the segmented log behind `engine.ports.LogStorage`, on `_core.wal`
snapshots   the state of the rooms at an index: written beside, fsynced, renamed
rows        SQLite as a projection of config data: search, paging, history
lock        one process per data directory
"""
