"""A page in the browser: `jaxstyle serve`.

Three kinds of processes share a database and a folder. Web processes answer visitors and never
import JAX: `asgi`, `views`, `queue`. A worker owns a device, decodes what was uploaded and makes
the pictures by `jaxstyle.pipeline`: `worker` and what it imports. The supervisor starts both and
replaces those that end: `supervisor`.
"""
