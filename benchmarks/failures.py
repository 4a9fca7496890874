"""Exceptions of the benchmarks."""


class BenchmarkError(Exception):
    """A contestant failed, or did not do the same work as the others."""


class Unavailable(Exception):
    """A package that cannot be installed here; the report omits it and says so."""
