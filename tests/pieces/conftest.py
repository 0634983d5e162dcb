"""What the tests of pieces share."""

import contextlib

import jax
import pytest


@pytest.fixture
def count_compilations():
    """Counts what a block compiles."""

    @contextlib.contextmanager
    def count():
        seen = []

        def listen(name, *_, **__):
            if name == "/jax/core/compile/backend_compile_duration":
                seen.append(name)

        jax.monitoring.register_event_duration_secs_listener(listen)
        try:
            yield lambda: len(seen)
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)

    return count
