"""The subcommands of `lianmu`, one module each, imported when they are used."""
