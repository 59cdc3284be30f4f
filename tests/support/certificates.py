# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made with the program openssl. Run by itself: certificates.py FOLDER makes an authority
(authority.pem) and a certificate of it for this machine (server.pem, server.key)."""
import subprocess
import sys
from pathlib import Path

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


def request(folder, name, subject, *more):
    subprocess.run(["openssl", "req", "-x509", *CURVE, "-keyout", folder / f"{name}.key", "-out",
                    folder / f"{name}.pem", "-days", "2", "-subj", f"/CN={subject}", *more],
                   check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return folder / f"{name}.pem", folder / f"{name}.key"


def make_authority(folder, name="authority"):
    """(certificate, key) of an authority that signs its own."""
    return request(folder, name, "Authority of a test", "-nodes", "-addext", "keyUsage=critical,keyCertSign")


def make_certificate(folder, authority, name="server", hosts="DNS:localhost,IP:127.0.0.1", passphrase=None):
    """(certificate, key) signed by `authority`; the key is encrypted where there is a passphrase."""
    secret = ["-nodes"] if passphrase is None else ["-passout", f"pass:{passphrase}"]
    return request(folder, name, "server of a test", *secret, "-CA", authority[0], "-CAkey", authority[1],
                   "-addext", f"subjectAltName={hosts}", "-addext", "basicConstraints=critical,CA:FALSE")


if __name__ == "__main__":
    make_certificate(Path(sys.argv[1]), make_authority(Path(sys.argv[1])))
