"""Backups of a data folder made while it is served, and their way back."""
