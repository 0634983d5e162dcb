"""What pytest leaves alone here: Sphinx's configuration, and what Sphinx builds."""

collect_ignore = ["conf.py", "_ext", "_build"]
