"""What is read of samples: numbers, words and categories, names and units."""
