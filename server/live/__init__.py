"""What is going on: the recent past of the whole server, for the status page and its JSON."""
