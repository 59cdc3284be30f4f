# SPDX-License-Identifier: Apache-2.0
"""A client of tacitd on Python's own HTTP client, so that nothing of ours is between a test and the server."""
import http.client


class Client:
    """One connection, opened again where it broke."""

    def __init__(self, port, token=None, timeout=60):
        self.port, self.token, self.timeout = port, token, timeout
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body); ConnectionError or OSError where there was no answer."""
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        for fresh in (False, True):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
                fresh = True
            try:
                self.connection.request(method, path, body, headers)
                response = self.connection.getresponse()
                answer = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
                if response.will_close:
                    self.close()
                return answer
            except (http.client.HTTPException, OSError) as error:
                self.close()
                # An idle connection may have been closed before the request; it is safe to repeat one only then.
                if fresh or not isinstance(error, http.client.RemoteDisconnected):
                    raise ConnectionError(str(error)) from error
        raise ConnectionError("no answer")

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def put_part(self, piece, number):
        return self.ask("PUT", f"/v2/keys/pieces/{piece.digest}/parts/{number}", piece.part(number), piece.fields(number))

    def make_set(self, keys):
        """`keys` is a Recording or a Piece."""
        return self.ask("POST", "/v2/keys", keys.key_set, {"Content-Type": "application/json"})

    def upload_keys(self, recording):
        """The last answer: that to the key set, or a refusal."""
        for name, piece in recording.pieces.items():
            answer = self.ask("PUT", f"/v2/keys/pieces/{name}", piece)
            if answer[0] not in (200, 201):
                return answer
        return self.make_set(recording)

    def send(self, path, stage, headers=None):
        """A stage's input, to the infer route or to a job."""
        return self.ask("POST", path, stage.body, {"Inference-Header-Content-Length": stage.json_bytes} | (headers or {}))

    def submit(self, recording, key):
        return self.send(f"/v2/models/{recording.model}/infer", recording.predictions[0][0],
                         {"Prefer": "respond-async", "Idempotency-Key": f'"{key}"'})

    def resume(self, recording, job, stage, prediction=0):
        return self.send(f"/v2/jobs/{job}/input", recording.predictions[prediction][stage])
