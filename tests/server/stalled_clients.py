#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that stand still in every state that a connection has, and some that do not (stalled_clients_test.cpp).

    stalled_clients.py PORT AUTHORITY COUNT REQUESTS ROUNDS

A round sends REQUESTS requests to 127.0.0.1, each on a connection of its own and on one that stays. Then it opens COUNT connections
that go no further, a quarter each in the middle of the TLS handshake, of a header, of a body, and with answers that are not read;
sends as many requests beside them, and closes them, but not the last round's. Alternating, so that both see the same machine.
Before each half it prints "alone" or "stalled COUNT" and waits for a line. In the end it prints "failed N of M" and the times that the
requests took, and waits again."""
import http.client
import resource
import socket
import ssl
import sys
import time


def connect(port):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(120)
    sock.connect(("127.0.0.1", port))
    return sock


def half_hello(context):
    """The first half of a ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    engine = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        engine.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    return hello[:len(hello) // 2]


def stall(port, context, count):
    open_ones = []
    hello = half_hello(context)
    for i in range(count):
        sock = connect(port)
        if i % 4 == 0:
            sock.sendall(hello)
        else:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        if i % 4 == 1:
            sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Le")
        elif i % 4 == 2:
            sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 3000)
        elif i % 4 == 3:
            sock.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        open_ones.append(sock)
    return open_ones


def ask(connection, body):
    connection.request("POST", "/x", body)
    response = connection.getresponse()
    return response.status == 200 and response.read() == body


class Requests:
    """What became of all requests of one kind."""

    def __init__(self):
        self.failed, self.times = 0, []

    def send(self, count, connect, kept):
        for i in range(count):
            body = b"%d " % i * 1000
            for fresh in (True, False):
                one = connect() if fresh else kept
                begin = time.perf_counter()
                try:
                    self.failed += not ask(one, body)
                except (OSError, http.client.HTTPException) as error:
                    print(f"request {i}: {error}", file=sys.stderr)
                    self.failed += 1
                self.times.append(time.perf_counter() - begin)
                if fresh:
                    one.close()

    def milliseconds(self, share):
        times = sorted(self.times)
        return 1e3 * times[min(int(len(times) * share), len(times) - 1)]

    def __str__(self):
        return (f"median {self.milliseconds(0.5):.1f} ms, p99 {self.milliseconds(0.99):.1f} ms, longest "
                f"{self.milliseconds(1):.1f} ms")


def say_and_wait(words):
    print(words, flush=True)
    sys.stdin.readline()


def main():
    port, authority = int(sys.argv[1]), sys.argv[2]
    count, requests, rounds = map(int, sys.argv[3:6])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.create_default_context(cafile=authority)

    def connection():
        return http.client.HTTPSConnection("localhost", port, timeout=120, context=context)

    kept, alone, beside = connection(), Requests(), Requests()
    for number in range(rounds):
        say_and_wait("alone")
        alone.send(requests, connection, kept)
        stalled = stall(port, context, count)
        say_and_wait(f"stalled {len(stalled)}")
        beside.send(requests, connection, kept)
        if number + 1 < rounds:
            for sock in stalled:
                sock.close()
    say_and_wait(f"failed {alone.failed + beside.failed} of {len(alone.times) + len(beside.times)}: alone {alone}; beside them "
                 f"{beside}; p99 {beside.milliseconds(0.99) / alone.milliseconds(0.99):.2f} times as long")


if __name__ == "__main__":
    main()
