"""What work costs, from formulas alone: parameters, operations, bytes, memory, time. No files, no pages, no tensors."""
