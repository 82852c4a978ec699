"""`cogitate search` and `cogitate scale`: answers chosen among several attempts, and what accuracy costs."""
