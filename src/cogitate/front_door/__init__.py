"""What `import cogitate` offers: models, verdicts and runs from Python. Each name is imported when it is first used."""
