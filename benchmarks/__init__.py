"""Compare the cost of this package with alternatives and with plain SQL; docs/benchmarks.md holds the results."""
