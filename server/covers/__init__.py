"""Cover images: checked, kept as files, credited, served."""
