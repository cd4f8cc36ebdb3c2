"""Who may come in from where, how often, and what is granted: what workers share of it."""
