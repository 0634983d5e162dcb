"""What every room may use: checks of arguments, files, devices, memory pages."""
