"""The stage that makes tests of programs."""
