"""The recorded Java server as a test: its exchanges are replayed in order against a started nacosx.

golden        reads the recordings
exchange      sends one request over a socket of its own and reads the answer, as curl did
compare       what is different between two answers, accidental things aside
differences   the one table of differences that are explained, and of exchanges that are not replayed yet
"""
