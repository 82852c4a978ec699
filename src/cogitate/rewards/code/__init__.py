"""Programs judged by tests: standard input and output, calls, assertions; lint and efficiency."""
