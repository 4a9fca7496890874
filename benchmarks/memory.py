"""What a process holds."""

from pathlib import Path


def memory_of(pid: int) -> int:
    """Return how many bytes a process holds that are its own (Linux)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    private = (line for line in lines if line.startswith(("Private_", "Swap:")))
    return sum(int(line.split()[1]) for line in private) * 1024
