`nodetrust ca` shows the issue server's account at a CA, changes its contact and key, revokes certificates, and ends the account.
