"""Tests of what the server measures of itself."""
