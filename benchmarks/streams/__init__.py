"""Live updates: the cost of open streams, the latency of events, and the cost of publishing them."""
