"""What the command line tells in one line."""


class StartError(Exception):
    """The server cannot start; the message says why in one line."""


class BatchError(Exception):
    """An ISBN job cannot be done as asked; the message says why in one line."""
