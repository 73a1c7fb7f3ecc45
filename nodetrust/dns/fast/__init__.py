"""The short path: plain queries answered from tables, bytes in and bytes out.

What resolvers ask all day (`A`, `AAAA` or `TXT` at a name that spells an address or a peer ID, just below the zone or
below a peer's name) differs in its ID and its first label. Everything else of the packet is looked up in two tables:
octets 2 to 11, and what follows the first label, in lower case. They lead to a *form*, a function that reads the label
and writes the answer around it. What the tables do not know gets None and takes the full path (`respond.respond`),
which gives the same bytes wherever this one answers.

The zone file may have records at names like ours: those, and what its wildcards fill, are left to the full path.

In reading order: `labels` (what a first label spells), `forms` (what is written around it), `path` (the tables).
"""

from nodetrust.dns.fast.path import ShortPath, short_path

__all__ = ["ShortPath", "short_path"]
