"""Tables of what is refused, each row with its error number and a word of the reason.

At the proof server, at the issue server and over dns-01. Every row is sent as bytes, as a peer would; after all of them
the same server serves what is right.
"""
