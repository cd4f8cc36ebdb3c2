"""Tests of the HTTP API, against a server of their own."""
