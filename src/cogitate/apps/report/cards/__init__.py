"""What a report tells of the recipe: its graph, and a card for each stage."""
