"""A server on this machine that behaves well, badly or not at all."""

import hashlib
import http.server
import re
import threading
import time

from jaxstyle.networks.catalogue import Source


class Server(http.server.ThreadingHTTPServer):
    """Serves `body`; `plan` says how, one behaviour a request, the last one for ever.

    A behaviour is a word, or a function that takes the handler and answers by itself.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, body):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.plan, self.requests, self.asked = body, ["whole"], [], []
        self.stopped = threading.Event()

    def url(self, name="vgg19.h5"):
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def source(self, name="vgg19.h5", body=None):
        digest = hashlib.md5(self.body if body is None else body).hexdigest()
        return Source(self.url(name), f"md5:{digest}", "keras", len(self.body))

    def start(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.stopped.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body, reason=None):
        self.send_response(status, reason)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        server = self.server
        behaviour = server.plan[min(len(server.requests), len(server.plan) - 1)]
        server.requests.append(self.path)
        server.asked.append(dict(self.headers))
        if callable(behaviour):
            behaviour(self)
            return
        if isinstance(behaviour, int):
            self.send_error(behaviour)
            return
        body = b"x" + server.body[1:] if behaviour == "altered" else server.body
        part = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(part[1]) if part and behaviour == "ranges" else 0
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(body) - first))
        self.send_header("ETag", '"one"')
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        half = len(body) // 2
        if behaviour == "cut":
            self.wfile.write(body[:half])
        elif behaviour == "silent":
            self.wfile.write(body[:half])
            server.stopped.wait(20)
        elif behaviour == "slow":
            for start in range(0, len(body), len(body) // 6 + 1):
                self.wfile.write(body[start : start + len(body) // 6 + 1])
                time.sleep(0.1)
        else:
            self.wfile.write(body[first:])
