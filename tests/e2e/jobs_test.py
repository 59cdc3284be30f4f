#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs over real HTTP: a refreshed network round by round, events while it runs, results over a restart."""
import http.client
import json
import time
import unittest

import onnx

from proxy import Proxy
from support import TacitTest, compile_arguments, tacit


class JobsTest(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The same network with a ReLU, which clients compute between two rounds.
        onnx.save(cls.network.model(kinds=("Relu",)), str(cls.folder / "rounds.onnx"))
        done = tacit(*compile_arguments(cls.folder, cls.folder / "rounds.onnx", cls.models / "rounds.tacit"), "--refresh",
                     "--name", "rounds")
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        cls.service = cls.start_service()

    def record(self, model):
        """The infer requests that `tacit predict` makes for one image, in their order."""
        path, _ = self.write_images(model, 1)[0]
        with Proxy(self.service.port) as proxy:
            done = tacit("predict", "--server", proxy.url, "--model", model, path, home=self.home)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [exchange for exchange in proxy.exchanges if exchange.path.endswith("/infer")]

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        answer = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return answer

    def submit(self, exchange, path=None, **more):
        headers = {name: value for name, value in exchange.headers.items() if name.lower().startswith("inference-")}
        return self.ask("POST", path or exchange.path, exchange.body, headers | more)

    def rest(self, job):
        for _ in range(1500):
            status, _, body = self.ask("GET", f"/v2/jobs/{job}")
            self.assertEqual(status, 200, body)
            page = json.loads(body)
            if page["state"] not in ("queued", "running"):
                return page
            time.sleep(0.02)
        self.fail(f"the job never rests: {page}")

    def test_a_refreshed_network_goes_on_round_by_round(self):
        rounds = self.record("rounds")
        self.assertGreater(len(rounds), 1)
        status, headers, body = self.submit(rounds[0], **{"Prefer": "respond-async"})
        self.assertEqual(status, 202, body)
        job = json.loads(body)["job_id"]
        self.assertEqual(headers["Location"], f"/v2/jobs/{job}")
        for number, exchange in enumerate(rounds):
            page = self.rest(job)
            last = number == len(rounds) - 1
            self.assertEqual(page["state"], "succeeded" if last else "awaiting_client", page)
            self.assertEqual(page["stage"], number)
            status, headers, body = self.ask("GET", f"/v2/jobs/{job}/result")
            self.assertEqual(status, 200, body)
            self.assertEqual(len(body) // 1000, len(exchange.answer.body) // 1000)
            if last:
                status, _, body = self.submit(exchange, f"/v2/jobs/{job}/input")
                self.assertEqual((status, json.loads(body)["code"]), (409, "job.not-awaiting"))
                break
            # The same stage again, or one too far, is not what it waits for.
            status, _, body = self.submit(exchange, f"/v2/jobs/{job}/input")
            self.assertEqual((status, json.loads(body)["code"]), (400, "request.malformed"))
            if number == 0:  # rounds go on after a restart
                self.service.stop()
                self.service.start()
            status, _, body = self.submit(rounds[number + 1], f"/v2/jobs/{job}/input")
            self.assertEqual(status, 202, body)
        self.assertEqual(self.ask("DELETE", f"/v2/jobs/{job}")[0], 204)

    def test_events_come_while_the_job_runs(self):
        exchange = self.record("tiny")[0]
        jobs = [json.loads(self.submit(exchange, **{"Prefer": "respond-async"})[2])["job_id"] for _ in range(5)]
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)
        connection.request("GET", f"/v2/jobs/{jobs[-1]}/events")
        response = connection.getresponse()
        self.assertEqual(response.getheader("Content-Type"), "text/event-stream")
        self.assertIsNone(response.getheader("Content-Length"))
        events = [block for block in response.read().decode().split("\n\n") if "data:" in block]
        connection.close()
        self.assertGreaterEqual(len(events), 1)
        states = [json.loads(event.split("data: ")[1])["state"] for event in events]
        self.assertEqual(states[-1], "succeeded")
        self.assertEqual(sorted(states, key=["queued", "running", "succeeded"].index), states)
        status, _, _ = self.ask("GET", f"/v2/jobs/{jobs[-1]}/events", headers={"Last-Event-ID": "3"})
        self.assertEqual(status, 204)

    def test_a_request_sent_again_is_the_same_one(self):
        exchange = self.record("tiny")[0]
        key = {"Idempotency-Key": '"0b9e5ab4-9d2a-4d5e-8a53-7d1e6a2f8a11"'}
        first = self.submit(exchange, **key)
        self.assertEqual(first[0], 200, first[2][:200])
        self.service.stop()
        self.service.start()
        again = self.submit(exchange, **key)
        self.assertEqual((again[0], again[2]), (200, first[2]))

    def test_the_description_is_served(self):
        status, headers, body = self.ask("GET", "/openapi.json")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        self.assertIn("/v2/jobs/{job}", json.loads(body)["paths"])


if __name__ == "__main__":
    unittest.main()
