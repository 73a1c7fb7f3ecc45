"""Our DNS server beside those that people trust: Knot, NSD, BIND and PowerDNS, and before the eyes of their tools.

`tox -e dns` runs it. `toolchain.py` gets the programs (Debian's packages). In reading order:

* `packets.py`, `rows.py`: odd and ordinary packets; `outcomes.txt`: what ours answers to each, and why others differ
* `summary.py`: an answer in one short line; `table.py` reads and writes such lines
* `servers.py`: starts the four anchors and ours with the same static zone; `exchange.py` asks them
* `test_rows.py`: the rows without any other server; `test_matrix.py`: beside the anchors, over UDP, TCP and TCP split
* `internet.py`: a network namespace with a root, a TLD and our server; `names.py`: every form of name in that zone;
  `test_tools.py`: what Zonemaster, dnsviz, Unbound, kdig, dig and dnspython say
* `test_dnssec_unbound.py`: a signed zone with children, before Unbound and delv
* `test_export.py`: zone checkers read what `nodetrust zone export` prints
* `test_dnssec_unbound.py`: Unbound and delv validate a signed zone of ours and its children
* `test_link.py`: the cable between the issue server and a DNS server is pulled out, and put in again
* `report.py`: what a run has kept in `build/dns`, in a few lines
* `test_pebble.py`: Pebble validates dns-01 through our server, directly and through Unbound
"""
