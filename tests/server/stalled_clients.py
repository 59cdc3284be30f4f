#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that stand still in every state that a connection has, and some that do not (stalled_clients_test.cpp).

    stalled_clients.py PORT AUTHORITY COUNT REQUESTS

Opens COUNT connections to 127.0.0.1 that go no further: a quarter each in the middle of the TLS handshake, of a header, of
a body, and with answers that are not read. Prints "stalled COUNT" and waits for a line; then sends REQUESTS requests, each on
a connection of its own and on one that stays, and prints "failed N" and the time that they took."""
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


def main():
    port, authority, count, requests = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.create_default_context(cafile=authority)

    def connection():
        return http.client.HTTPSConnection("localhost", port, timeout=120, context=context)

    stalled = stall(port, context, count)
    print(f"stalled {len(stalled)}", flush=True)
    sys.stdin.readline()
    kept, failed, times = connection(), 0, []
    for i in range(requests):
        body = b"%d " % i * 1000
        for fresh in (True, False):
            one = connection() if fresh else kept
            begin = time.perf_counter()
            try:
                failed += not ask(one, body)
            except (OSError, http.client.HTTPException) as error:
                print(f"request {i}: {error}", file=sys.stderr)
                failed += 1
            times.append(time.perf_counter() - begin)
            if fresh:
                one.close()
    times.sort()
    print(f"failed {failed} of {len(times)}: median {1e3 * times[len(times) // 2]:.1f} ms, "
          f"p99 {1e3 * times[len(times) * 99 // 100]:.1f} ms, longest {1e3 * times[-1]:.1f} ms", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
