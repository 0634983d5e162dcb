"""From options to pictures on disk: what the command, sweeps and the web have in common."""
