`max_connections` says how many libp2p connections others may hold open; the process gets the file descriptors for that.
