"""`lianmu` with forms that count nothing, to be measured beside the real one.

    python -m benchmarks.metering_off serve --config config.toml

Everything is done as ever but what metering adds: no delivery is entered, stored,
confirmed or folded. The server itself has no such switch.
"""

from __future__ import annotations

import sys
from typing import Any

from server.cli import main
from server.delivery import retrieval

_RecordForm = retrieval.RecordForm


class UncountedForm(_RecordForm):
    """A form of a record that nobody is billed for."""

    def __init__(self, *arguments: Any, **fields: Any) -> None:
        super().__init__(*arguments, **{**fields, "billable": False})


# Before any module that makes a form is imported: the command line imports them late.
retrieval.RecordForm = UncountedForm  # type: ignore[misc]

if __name__ == "__main__":
    for name in ("server.delivery.record_forms", "server.service", "server.z3950.forms"):
        if name in sys.modules:
            sys.exit(f"{name} is imported already, its forms are counted")
    main(prog_name="lianmu")
