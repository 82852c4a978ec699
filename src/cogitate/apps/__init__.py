"""What a person uses: the report, chat, progress, evaluation and status. Nothing imports it but the command line."""
