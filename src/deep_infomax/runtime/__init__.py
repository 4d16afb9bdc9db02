"""What every part stands on: memory, files, locks, interrupts, processes, progress and random numbers."""
