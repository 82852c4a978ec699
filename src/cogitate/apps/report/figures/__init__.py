"""Pictures of a report: line charts and time bars, which charts there are, the graph of stages, a PNG for a README."""
