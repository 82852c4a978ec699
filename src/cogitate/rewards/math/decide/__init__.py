"""Whether two expressions are equal: exact where they are rational, else around every kink, jump and end of a domain."""
