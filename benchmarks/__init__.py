"""Measurements beside Zebra on the same generated records (never run by the tests)."""
