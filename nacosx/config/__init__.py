"""The room of configuration management: pure rules, no IO, no clock, no randomness.

The words (contract/semantics.md §6, storage.md §3):

* A **config** is (namespace, group, dataId) → content, md5, type and descriptive members.
* A **gray** version (beta: by client ip; tag: by Vipserver-Tag) shadows the formal content for the clients its rule matches;
  the larger priority wins.
* Every change leaves a **history** row: I with the new content, U and D with the content before the change.
* A **watch** is one listener's (key, md5 it knows); it fires when the md5 the listener would be served differs.
* **Rows** are what the SQL projection is asked and answers; the catalog itself is never searched.

::

    commands ─→ catalog.apply ─→ events (ConfigChanged → listeners; HistoryRecorded, rows → the SQL projection)
                    │
               model (state)         gray: which version a client gets          watch: who must be told

Invariant: only `Catalog.apply` changes state. The canonical default namespace is "public"; how a client spelled it
("", "public", null) is remembered by the desk and echoed.
"""
