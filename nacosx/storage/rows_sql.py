"""Tables and statements of the projection (contract/storage.md §1).

Two measured habits of CPython's sqlite3 shape this file (3.11, one loop thread that is busy with IO):

* Every step of a statement gives the GIL away and takes it back. `executemany` does so for each row, which costs a busy
  server 100 CPU-µs and up to 5 ms a row; one statement of 64 rows costs 11 CPU-µs a row, idle or busy. So rows go in
  chunks of one size, filled up with rows that a WHERE drops, and a statement is prepared once.
* Binding None goes through the adapter registry (0.25 µs each, with the GIL held). So nothing is NULL: "" and 0 are.

Times are integers (milliseconds since the epoch). Contents come last in their tables: SQLite reads a row from the left,
and what stands behind a large content costs a walk over its overflow pages.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

CHUNK_ROWS = 64
PAGE_BYTES = 8_192  # a row is 1 KB and more, and each page is written twice: 12 CPU-µs a publish, with 4 KB pages 15

SCHEMA = """
CREATE TABLE IF NOT EXISTS config_info (
    id INTEGER PRIMARY KEY, data_id TEXT NOT NULL, group_id TEXT NOT NULL, tenant_id TEXT NOT NULL, app_name TEXT NOT NULL,
    type TEXT NOT NULL, md5 TEXT NOT NULL, gmt_create INTEGER NOT NULL, gmt_modified INTEGER NOT NULL,
    src_user TEXT NOT NULL, src_ip TEXT NOT NULL, c_desc TEXT NOT NULL, c_use TEXT NOT NULL, effect TEXT NOT NULL,
    encrypted_data_key TEXT NOT NULL, c_schema TEXT NOT NULL, content TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS uk_configinfo_datagrouptenant ON config_info (data_id, group_id, tenant_id);
CREATE TABLE IF NOT EXISTS config_tags_relation (
    id INTEGER NOT NULL, tag_name TEXT NOT NULL, data_id TEXT NOT NULL, group_id TEXT NOT NULL, tenant_id TEXT NOT NULL,
    PRIMARY KEY (id, tag_name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idx_tag_name ON config_tags_relation (tag_name);
CREATE TABLE IF NOT EXISTS config_info_gray (
    id INTEGER PRIMARY KEY, data_id TEXT NOT NULL, group_id TEXT NOT NULL, tenant_id TEXT NOT NULL, gray_name TEXT NOT NULL,
    gray_rule TEXT NOT NULL, app_name TEXT NOT NULL, md5 TEXT NOT NULL, gmt_create INTEGER NOT NULL,
    gmt_modified INTEGER NOT NULL, src_user TEXT NOT NULL, src_ip TEXT NOT NULL, encrypted_data_key TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS uk_configinfogray_datagrouptenantgray
    ON config_info_gray (data_id, group_id, tenant_id, gray_name);
CREATE TABLE IF NOT EXISTS his_config_info (
    nid INTEGER PRIMARY KEY, id INTEGER NOT NULL, data_id TEXT NOT NULL, group_id TEXT NOT NULL, tenant_id TEXT NOT NULL,
    op_type TEXT NOT NULL, publish_type TEXT NOT NULL, gray_name TEXT NOT NULL, app_name TEXT NOT NULL,
    src_user TEXT NOT NULL, src_ip TEXT NOT NULL, gmt_modified INTEGER NOT NULL, md5 TEXT NOT NULL,
    encrypted_data_key TEXT NOT NULL, ext_info TEXT NOT NULL, content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_did ON his_config_info (data_id, group_id, tenant_id);
CREATE INDEX IF NOT EXISTS idx_id ON his_config_info (id) WHERE id > 0;
CREATE TABLE IF NOT EXISTS applied (one INTEGER PRIMARY KEY CHECK (one = 1), log_index INTEGER NOT NULL);
"""

KEY_COLUMNS = ("id", "data_id", "group_id", "tenant_id")  # of a config, from its creation to its removal
CONFIG_COLUMNS = (
    *("id", "data_id", "group_id", "tenant_id", "app_name", "type", "md5", "gmt_create", "gmt_modified", "src_user"),
    *("src_ip", "c_desc", "c_use", "effect", "encrypted_data_key", "c_schema", "content"),
)
GRAY_COLUMNS = (
    *("id", "data_id", "group_id", "tenant_id", "gray_name", "gray_rule", "app_name", "md5", "gmt_create"),
    *("gmt_modified", "src_user", "src_ip", "encrypted_data_key", "content"),
)
TAG_COLUMNS = ("id", "tag_name", "data_id", "group_id", "tenant_id")
HISTORY_COLUMNS = (
    *("nid", "id", "data_id", "group_id", "tenant_id", "op_type", "publish_type", "gray_name", "app_name", "src_user"),
    *("src_ip", "gmt_modified", "md5", "encrypted_data_key", "ext_info", "content"),
)


def _replace(table: str, columns: tuple[str, ...]) -> str:
    """Inserts or replaces up to CHUNK_ROWS rows; the first column of a row that only fills up is 0."""
    row = f"({','.join('?' * len(columns))})"
    rows = ",".join([row] * CHUNK_ROWS)
    return f"INSERT OR REPLACE INTO {table} ({','.join(columns)}) SELECT * FROM (VALUES {rows}) WHERE column1 > 0"


def _upsert(table: str, columns: tuple[str, ...], identity: tuple[str, ...]) -> str:
    """The same for rows that are mostly there already: a row that keeps its id and identity is changed in its place, and
    no index is touched."""
    changes = ",".join(f"{column}=excluded.{column}" for column in columns if column not in identity)
    return f"{_replace(table, columns)} ON CONFLICT (id) DO UPDATE SET {changes}"


def _delete(table: str) -> str:
    return f"DELETE FROM {table} WHERE id IN ({','.join('?' * CHUNK_ROWS)})"


REPLACE_CONFIGS = _upsert("config_info", CONFIG_COLUMNS, KEY_COLUMNS)
REPLACE_GRAYS = _upsert("config_info_gray", GRAY_COLUMNS, (*KEY_COLUMNS, "gray_name"))
REPLACE_TAGS = _replace("config_tags_relation", TAG_COLUMNS)
REPLACE_HISTORY = _replace("his_config_info", HISTORY_COLUMNS)
DELETE_CONFIGS = _delete("config_info")
DELETE_GRAYS = _delete("config_info_gray")
DELETE_TAGS = _delete("config_tags_relation")

SET_APPLIED = "INSERT OR REPLACE INTO applied VALUES (1, ?)"
GET_APPLIED = "SELECT log_index FROM applied"

_CONFIG_ROW = "id, tenant_id, group_id, data_id, type, app_name, md5, encrypted_data_key, content"
SEARCH = f"SELECT {_CONFIG_ROW} FROM config_info WHERE "
SEARCH_COUNT = "SELECT count(*) FROM config_info WHERE "

_HISTORY_HEAD = (
    "nid, id, tenant_id, group_id, data_id, op_type, publish_type, gray_name, app_name, src_user, src_ip, gmt_modified"
)
_HISTORY_OF_KEY = "his_config_info WHERE data_id = ? AND group_id = ? AND tenant_id = ?"
_HISTORY_DETAIL = (
    f"SELECT {_HISTORY_HEAD}, md5, encrypted_data_key, ext_info, content FROM his_config_info WHERE nid = "
)
HISTORY_COUNT = f"SELECT count(*) FROM {_HISTORY_OF_KEY}"
HISTORY_PAGE = f"SELECT {_HISTORY_HEAD}, '', '', ext_info, '' FROM {_HISTORY_OF_KEY} ORDER BY nid DESC LIMIT ? OFFSET ?"
HISTORY_ROW = f"{_HISTORY_DETAIL} ?"
PREVIOUS_ROW = f"{_HISTORY_DETAIL} (SELECT max(nid) FROM his_config_info WHERE id > 0 AND id = ?)"
OLDEST_HISTORY = "SELECT nid, gmt_modified FROM his_config_info ORDER BY nid LIMIT ?"
FORGET_HISTORY = "DELETE FROM his_config_info WHERE nid <= ?"
