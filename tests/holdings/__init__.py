"""Holdings of members: statements, files, protocols."""
