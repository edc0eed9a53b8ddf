"""Bad input, lots of it: no crash, no hang, bounded memory, and the same answer however the bytes are split."""
