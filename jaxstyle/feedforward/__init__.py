"""Networks that paint in one pass: architectures, colours, training and files."""
