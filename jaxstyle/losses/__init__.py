"""What is compared: losses, statistics, targets, and the objective that they add up to."""
