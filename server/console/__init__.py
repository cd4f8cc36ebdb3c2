"""The operator console: what its pages show, and the pages."""
