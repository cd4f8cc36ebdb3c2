"""HTTP: connections, what every request passes, and how responses leave."""
