"""From a row as it is published to a row as `tasks.files.rows` reads it: one function for each form."""
