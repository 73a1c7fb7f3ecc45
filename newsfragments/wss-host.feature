A secure WebSocket listener refuses requests whose Host is a name that none of its certificates is for.
