"""The computer at hand as hardware: its speed as measured, its memory as a limit of runs."""
