`nodetrust key rotate` gives a running proof server another key for its proofs; issue servers read the keys they trust from a file.
