"""Pages of documentation that are generated from the tables of the code."""
