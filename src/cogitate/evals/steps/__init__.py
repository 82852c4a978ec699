"""What a thinking states step by step, and whether it is right: sums, comparisons, claims of knights, tries and corrections."""
