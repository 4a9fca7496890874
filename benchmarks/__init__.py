"""What this product costs, beside what one would pick instead and beside plain SQL: docs/benchmarks.md says it."""
