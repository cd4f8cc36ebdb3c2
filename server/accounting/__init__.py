"""The books: ledger, credit, settlements and statements as one configuration says."""
