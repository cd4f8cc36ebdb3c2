"""A member's own pages: its figures, ledger, statements, jobs, holdings and accounts."""
