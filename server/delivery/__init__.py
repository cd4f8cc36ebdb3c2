"""How records leave: their forms, the ledger before them, and whether they went."""
