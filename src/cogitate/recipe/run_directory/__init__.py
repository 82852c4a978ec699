"""What a run directory holds: artifacts, the stage that is being made, and the lock of the process that works there."""
