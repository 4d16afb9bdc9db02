"""What every part stands on: memory, files, interrupts, processes, progress and random numbers."""
