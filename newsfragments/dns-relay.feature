The DNS server relays announcements, as the proof and issue servers do: clients that know only it hear each other.
