"""What the built-in pages are made of: words, bars, lines, templates."""
