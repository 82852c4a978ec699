"""The studio: people read, edit and judge what models wrote; every decision is kept, and leads to the row that it made."""
