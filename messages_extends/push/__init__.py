"""Live updates: open pages learn at once that something has changed.

What is pushed is a hint and a number, never a text: the truth is in the tables, and pages fetch it as they always do,
through the same permissions. A hint goes from whoever changes something (`hints`) over a bus (`bus`) to every process
that holds streams (`hub`), which counts for those whom it concerns and tells their browsers (`streams`). Streams are
served beside Django's own handler (`asgi`).
"""
