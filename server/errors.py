"""What stops the server from starting."""


class StartError(Exception):
    """The server cannot start; the message says why in one line."""
