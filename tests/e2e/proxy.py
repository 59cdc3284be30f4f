# SPDX-License-Identifier: Apache-2.0
"""Stands between tacit and tacitd: keeps what passes, and lets a test change what the server answers."""
import http.client
import http.server
import threading
from dataclasses import dataclass, field


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes


@dataclass
class Exchange:
    method: str
    path: str
    headers: dict
    body: bytes
    answer: Answer = field(default=None)


class Proxy:
    """`alter(exchange)`, where given, may change `exchange.answer` before the client gets it. Where it returns bytes,
    these are sent instead of any answer, and the connection is closed. `fields` are added to every request; `connect()`
    makes an http.client connection to something else than `port` of this machine."""

    def __init__(self, port=None, alter=None, fields=None, connect=None):
        self.exchanges = []
        self.alter = alter
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def relay(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                exchange = Exchange(self.command, self.path, dict(self.headers), body)
                passed_on = {name: value for name, value in exchange.headers.items()
                             if name.lower() not in ("host", "connection", "expect")}
                passed_on.update(fields or {})
                connection = connect() if connect else http.client.HTTPConnection("127.0.0.1", port, timeout=300)
                connection.request(self.command, self.path, body, passed_on)
                response = connection.getresponse()
                exchange.answer = Answer(response.status, dict(response.getheaders()), response.read())
                connection.close()
                outer.exchanges.append(exchange)
                instead = outer.alter(exchange) if outer.alter else None
                if instead is not None:
                    self.wfile.write(instead)
                    self.close_connection = True
                    return
                self.send_response_only(exchange.answer.status)
                for name, value in exchange.answer.headers.items():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(exchange.answer.body)))
                self.end_headers()
                self.wfile.write(exchange.answer.body)

            do_GET = do_PUT = do_POST = relay

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        # By default it sees only every half second that it is to end.
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def find(self, method, end):
        """The last exchange of this method whose path ends so."""
        return [x for x in self.exchanges if x.method == method and x.path.endswith(end)][-1]
