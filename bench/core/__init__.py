"""The core beside its Java originals: the ring, the wheel and the log."""
