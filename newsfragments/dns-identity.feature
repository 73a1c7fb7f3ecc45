The settings `version` and `server_id` of the DNS server say what it answers to `version.bind`, `id.server` and NSID; without them it refuses.
