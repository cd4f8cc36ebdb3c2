"""Cover images."""
