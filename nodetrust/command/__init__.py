"""The command `nodetrust`.

In reading order:

* `main`: the subcommands
* `parameters`, `options`: what several of them take
* `run`: a coroutine on the reactor, with an exit status and a clean end on Ctrl-C and SIGTERM; `spinner` for meanwhile
* `key` (with `rotate` and `dnssec`), `name`, `zone`: keys, names in both directions, zone files
* `obtain`: a certificate into a folder; `obtain_asked` and `obtain_shown` are what it is told and says, `obtain_issuer`
  and `obtain_autotls` its two ways
* `check`: why there is none, or nobody can dial; `check_asked`, `check_shown` and `check_autotls` likewise
* `peers`: who is announced; `peers_shown` is how that looks
* `ca`: an issue server's accounts; `challenge`: hooks of other ACME clients
* `demo`: the whole of nodetrust on loopback; `deployment` starts and checks it, `hello` is what its clients speak,
  `browser` opens the page, `demo` shows it
"""
