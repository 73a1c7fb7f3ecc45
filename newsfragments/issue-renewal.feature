Clients renew when the CA says so (ARI, RFC 9773), and hear it from the issue server within hours.
