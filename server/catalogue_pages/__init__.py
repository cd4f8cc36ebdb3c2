"""The catalogue for a person with a browser."""
