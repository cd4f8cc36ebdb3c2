"""Z39.50 over sockets: connections, sessions and what each service answers."""
