"""The compiled core: bytes and integers, no asyncio policy, no domain word except "entry".

wheel           hashed-wheel timer
slab            memory for the timeouts of the wheel
driver          what the drivers of the wheel share: the clock, and what is due before they wake
ring            the Disruptor: sequences, single and multi producer claim, barriers, wait strategies
processor       a consumer of a ring that takes all that is available in one go
entry           the codec of a log entry (CRC32C)
wal             segmented append log
disk_thread     the thread without the GIL that writes logs: a consumer of a ring, many logs may share one
append_batcher  what one write takes
flush           what that thread does to one log: frames, group fdatasync, answers
segment         the bytes of a log segment, and what is believed after a crash
recovery        how a log is opened
disk            system calls on files without the GIL, and faults to be met on purpose
form            urlencoded forms: bytes → dict
http1           server side of HTTP/1.1: bytes → requests
request         one HTTP request, decoded when looked at
response        one HTTP response → bytes
http2           server side of gRPC over HTTP/2, on libnghttp2 (declared in nghttp2.pxd): sessions and limits
grpc_call       one call of it: messages in, messages and status out
payload         the Nacos gRPC envelope (protobuf) ⇄ (type, client ip, headers, body)
capnp_call      the calls between members that are many, as Cap'n Proto RPC spells them

Each module has a `.pyi` (checked by stubtest), a slow twin in `tests/models` and a property test that compares them.
"""
