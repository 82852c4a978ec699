"""Problems: built-in tasks, files of a user's own, and the corpus that base models read."""
