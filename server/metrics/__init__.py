"""What the server counts and measures of itself, and how Prometheus reads it."""
