"""A small HTTP server on this machine that can fail in the ways real ones do."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ISOLATED_ATOMS = "".join(
    f"1\nProperties=species:S:1:pos:R:3 config_type=isolated_atom energy={energy} "
    f'pbc="F F F"\n{symbol}        0.00000000       0.00000000       0.00000000\n'
    for symbol, energy in (
        ("H", "-13.568422383046626"),
        ("C", "-1025.2770951782686"),
        ("O", "-2035.5709809589698"),
        ("N", "-1479.0665594928669"),
    )
).encode()
"""The isolated atoms at PBE/def2-SVP, as published."""


class Site:
    """Files by path, faults to come, and what was asked for."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.statuses: list[int] = []  # answers to give first instead of files
        self.cut_after: list[int] = []  # bytes after which the next connections end
        self.ranges = True
        self.says_length = True
        self.requests: list[tuple[str, str | None]] = []
        self.address = ""


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self):
        site = self.site
        wanted = self.headers.get("Range")
        site.requests.append((self.path, wanted))
        content = site.files.get(self.path)
        if site.statuses:
            self._answer(site.statuses.pop(0))
            return
        if content is None:
            self._answer(404)
            return
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.ranges else 0
        if wanted and site.ranges and first >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        headers = {"Content-Length": str(len(content) - first)} if site.says_length else {}
        if wanted and site.ranges:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        stop = first + site.cut_after.pop(0) if site.cut_after else len(content)
        self._answer(206 if wanted and site.ranges else 200, headers, content[first:stop])

    def _answer(self, status, headers=None, body=b""):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args):
        pass


@contextmanager
def serving():
    """Serve a site at 127.0.0.1 while the context lasts."""
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
