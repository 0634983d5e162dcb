"""The answers: the page itself, the interface in JSON, events, and pictures."""
