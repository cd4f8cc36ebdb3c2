"""Records that clients send: what is asked, and how it is carried out."""
