"""The catalogue that `lianmu demo` loads: facts in TSV tables, turned into MARC."""

from samples.build import INSTITUTIONS, databases, holdings, records

__all__ = ["INSTITUTIONS", "databases", "holdings", "records"]
