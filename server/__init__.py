"""The asyncio shells, processes, configuration and command line."""

from importlib.metadata import version

VERSION = version("lianmu")
