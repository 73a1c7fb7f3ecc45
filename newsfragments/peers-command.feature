`nodetrust peers` shows who is announced now: a table on a terminal, lines or JSON elsewhere, every event with `--watch`.
