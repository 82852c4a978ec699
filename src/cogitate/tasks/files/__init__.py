"""Files of a user's: problems, conversations, preferences; and decontamination."""
