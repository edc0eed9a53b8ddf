"""Disk, imported by `server` only.

log         the segmented log behind `engine.ports.LogStorage`, on `_core.wal`
rocks_log   the same on RocksDB (extra `rocksdb`); rocks_entries: its column families
append_batcher  what waits for the disk, gathered into writes
snapshots   the state of the rooms at an index: written beside, fsynced, renamed
hard_state  the term and the vote of a member of a group
identity    the id of a member, which stays when its addresses change
rows        SQLite as a projection of config data: search, paging, history
lock        one process per data directory
"""
