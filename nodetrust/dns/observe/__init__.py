"""What an operator sees of the server while it runs.

In reading order:

* `counters`: plain numbers, which add up over workers
* `forge`: what p2p-forge would count of the same answers
* `metrics`: the same for Prometheus
* `querylog`: a line for each query, for those who ask for it
"""
