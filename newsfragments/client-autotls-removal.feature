After an order by AutoTLS the client has the broker take the challenge back, where the broker can.
