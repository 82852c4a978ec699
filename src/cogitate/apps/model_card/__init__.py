"""The model card: README.md beside an exported model, with the metadata that the Hugging Face hub reads."""
