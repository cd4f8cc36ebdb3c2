"""The asyncio shells, processes, configuration and command line."""
