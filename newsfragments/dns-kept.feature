ACME challenges outlive kill -9: each is on the disk before the issue server hears OK. A full disk refuses new ones and nothing else.
