"""The command `nodetrust`.

In reading order:

* `main`: the subcommands
* `run`: a coroutine on the reactor, with an exit status and a clean end on Ctrl-C and SIGTERM
* `key`, `name`: keys, and names in both directions
* `obtain`: a certificate into a folder
* `demo`: the whole of nodetrust on loopback; `deployment` starts and checks it, `hello` is what its clients speak,
  `browser` opens the page, `demo` shows it
"""
