"""Clusters of real processes on loopback: killed, stopped, cut off, wiped, moved, out of disk. They run while somebody writes;
what was acknowledged is there afterwards, at every member, and members that applied the same hold the same.

members     the processes, each with addresses of its own;  wires: TCP proxies between them, to be cut
observer    one that joins them to ask what they hold;  writers: who writes, and knows what was acknowledged
"""
