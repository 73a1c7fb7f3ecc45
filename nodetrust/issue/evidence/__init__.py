"""What a peer brings along, and what it is worth: proofs, whose word counts, and each of them once.

In reading order:

* `trust`: whose word counts: keys of proof servers, quorum, lists, clocks (pure)
* `in_force`: the same while the server runs: files that are read again when they change
* `nonces`: the nonces of `IssueInfo`, each good for one request (pure)
* `weigh`: from the proofs of a request to the addresses that count (pure)
"""
