"""Graders of one file each: choice, exact, logic, countdown, instructions."""
