"""The ledger of deliveries and holdings, and what a member owes for a year."""
