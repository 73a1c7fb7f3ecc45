`metrics_listen` serves Prometheus metrics of the DNS server, summed over its workers; `log_queries` logs a line for every query.
