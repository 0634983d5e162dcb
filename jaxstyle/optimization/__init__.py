"""The descent of one picture or of many, from presets to memory plans."""
