"""As much of a Kubernetes API server as spark-submit talks to: keeps what it is given, answers with it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class KubernetesApi(ThreadingHTTPServer):
    """Listens on loopback.

    Attributes:
        objects: objects that were created, in order, as they were sent.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: list[dict[str, Any]] = []
        self.news = threading.Condition()

    @property
    def master(self) -> str:
        return f"k8s://http://127.0.0.1:{self.server_port}"

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Objects of a kind that were created so far."""
        return [thing for thing in self.objects if thing["kind"] == kind]

    def wait_for(self, kind: str, count: int, seconds: float) -> list[dict[str, Any]]:
        """Objects of a kind, once there are as many; fewer where the time is over."""
        with self.news:
            self.news.wait_for(lambda: len(self.of_kind(kind)) >= count, timeout=seconds)
        return self.of_kind(kind)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a driver that is killed hangs up."""


@contextmanager
def kubernetes_api() -> Iterator[KubernetesApi]:
    """A server, while the context lasts."""
    server = KubernetesApi()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: KubernetesApi
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = json.loads(self._body())
        with self.server.news:
            self.server.objects.append(sent)
            self.server.news.notify_all()
        made = {**sent, "metadata": {**sent["metadata"], "uid": str(uuid.uuid4()), "resourceVersion": "1"}}
        self._answer(201, made)

    def do_PATCH(self) -> None:
        self._answer(200, json.loads(self._body()) or {})

    def do_GET(self) -> None:
        if "watch=true" in self.path or "watch=1" in self.path:
            self.send_response(200)  # a watch with no news
            self.end_headers()
            self.close_connection = True
            return
        name = self.path.partition("?")[0].rsplit("/", 1)[-1]
        found = [thing for thing in self.server.objects if thing["metadata"]["name"] == name]
        if found:
            self._answer(200, found[-1])
        else:
            items = {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
            self._answer(200, items)

    def do_DELETE(self) -> None:
        self._answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _body(self) -> str:
        return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

    def _answer(self, code: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""
