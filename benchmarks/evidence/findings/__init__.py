"""The seven findings of the paper on one page: for each model a verdict that follows from committed figures by stated rules."""
