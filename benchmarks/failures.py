"""What stops a benchmark."""


class BenchmarkError(Exception):
    """A contestant failed, or did not do the same work as the others."""


class Unavailable(Exception):
    """A package cannot be installed here: it is left out, and the report says so."""
