`nodetrust challenge set` and `remove` are hooks with which certbot, lego and other ACME clients order certificates for names of the zone.
