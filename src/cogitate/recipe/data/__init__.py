"""How SFT data and preferences are made: collected, rewritten, reviewed, filtered, compared."""
