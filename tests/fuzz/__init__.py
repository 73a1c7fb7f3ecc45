"""Programs that send a server what nobody would, for as long as one likes."""
