"""Tests of backups and their way back."""
