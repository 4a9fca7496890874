"""The reference product without us: the same organisations, people and pages, with Django's own messages only."""
