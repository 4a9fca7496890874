"""Live updates: what open streams cost, how soon an event is there, and what publishing costs those who write."""
