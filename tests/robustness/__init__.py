"""Garbage on every port of a running deployment: nothing in the log, everything closed, everyone still served.

The roles run in the reactor as `nodetrust demo` runs them. The attackers run in a thread, on blocking sockets, because
there Hypothesis can drive them: what they send is written down, not spoken by the code under test.

Read in this order: `site` (the deployment under attack, and what must hold afterwards), `attacker` (sockets and the
honest part of each handshake), then the tests, a file for each kind of port.
"""
