"""`python -m server` is `lianmu`."""

from server.cli import main

if __name__ == "__main__":
    main(prog_name="lianmu")
