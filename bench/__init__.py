"""Benchmarks: what nacosx is held to, measured side by side with what others offer.

`python -m bench serve`    a running server against r-nacos, from outside (`bench.serve`)
`python -m bench core`     the compiled core against its Java originals (`bench.core`)
`python -m bench raft`     three members against SOFAJRaft and etcd (`bench.raft`)
`pytest bench/micro`       compiled parts and room rules alone, with pytest-benchmark

`bench.report` is the form of every report, `bench.rounds` what the three commands share. Not part of the wheel.
"""
