"""What R1-Zero does better than base of problems that nobody has trained it on."""
