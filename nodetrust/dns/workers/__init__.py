"""Several processes that answer DNS side by side, and the parent that holds all the rest.

The parent binds an address once for each worker (SO_REUSEPORT: Linux spreads the queries) and hands the sockets down,
so that a worker needs no rights of its own, and what arrives while one is replaced waits for the next. The parent
itself serves libp2p and reads all files (so that a worker can always be started); it tells the workers what to answer,
over their standard input and output, in frames of msgpack.

In reading order:

* `messages`: what parent and worker say to each other (pure)
* `worker`: one process that answers; `python -m nodetrust.dns.workers`
* `process`: the parent's side of one worker
* `pool`: all of them: started, kept alike, replaced when they die, counted together, stopped
"""
