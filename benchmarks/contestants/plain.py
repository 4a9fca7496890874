"""The reference product without this package."""

from benchmarks.contestants.reference import ReferenceProduct
from benchmarks.contestants.serving import serve


class Plain(ReferenceProduct):
    """Its messages are Django's own."""


if __name__ == "__main__":
    serve(Plain())
