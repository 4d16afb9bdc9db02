"""What is tried: a recipe trained into a run, evaluated, compared and studied."""
