The DNS server answers the names of AutoTLS (`1-2-3-4.<CID>.<zone>`) and takes challenges for `_acme-challenge.<CID>.<zone>`.
