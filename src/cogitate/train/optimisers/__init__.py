"""AdamW, Muon, master weights and learning-rate schedules."""
