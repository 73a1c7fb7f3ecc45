Issue and proof servers dial a peer's WSS address back when it asks whether it can be reached from outside; `--no-checks` turns that off, and `trust_file` names further roots to trust.
