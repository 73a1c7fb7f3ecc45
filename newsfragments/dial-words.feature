Where nobody can be dialled, it is said whether there was no answer, nobody listens, or a firewall forbids it, rather than in Twisted's words.
