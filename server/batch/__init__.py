"""ISBN jobs: the numbers asked for, the records chosen, the files handed over."""
