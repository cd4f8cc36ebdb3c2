"""Holdings of members: what they say of them, in files and requests, and carrying it out."""
