"""Architecture families: one file each."""

from nasviz.families.family import Facts, Family, get, names, register

__all__ = ["Facts", "Family", "get", "names", "register"]
