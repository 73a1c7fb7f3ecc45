The issue server gets a certificate for its own name (`own_names`), and serves libp2p over WSS and a page over HTTPS with it.
