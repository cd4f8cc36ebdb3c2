"""What an operator does with records: bringing, changing, comparing and exporting."""
