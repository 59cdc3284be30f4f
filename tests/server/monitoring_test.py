#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tacitd seen from outside: metrics, read by Prometheus' own parser (and promtool, where there is one), log, audit log, and
the dashboard and alarms of deploy/."""
import json
import re
import shutil
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from support import BIN, ROOT, TacitTest, tacit
from certificates import make_authority, make_certificate
from prometheus_client.parser import text_string_to_metric_families

PAGE_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TENANT = "zebra-tenant"
REQUEST_ID = "request-of-a-zebra"
DASHBOARD = ROOT / "deploy/grafana/tacitd.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
NAME = re.compile(r"\b(?:tacit|process)_[a-z_]+\b")
PROMTOOL = shutil.which("promtool")


def promtool(*arguments, text=""):
    return subprocess.run([PROMTOOL, *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60)


class MonitoringTest(TacitTest):
    @classmethod
    def tacitd(cls, *arguments):
        return subprocess.run([str(BIN / "tacitd"), *map(str, arguments)], capture_output=True, text=True, timeout=120)

    @classmethod
    def make_token(cls, state, tenant=TENANT, scopes="all"):
        done = cls.tacitd("token", "create", "--state", state, "--tenant", tenant, "--scopes", scopes)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, service, path, token=None, request_id=None, body=None):
        """(status, header fields, text)"""
        headers = {name: value for name, value in (("Authorization", token and f"Bearer {token}"),
                                                   ("X-Request-Id", request_id)) if value}
        request = urllib.request.Request(service.url + path, headers=headers, data=body)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as response:
                return response.status, response.headers, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def predict_once(self, service, token):
        path = self.write_images("image", 1)[0][0]
        self.predict(service.url, path, token=token)


class Metrics(MonitoringTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        state = cls.folder / "server"
        cls.token = cls.make_token(state)
        cls.user = cls.make_token(state, scopes="infer,keys")
        cls.service = cls.start_service()

    def page(self):
        status, headers, text = self.ask(self.service, "/metrics", self.token)
        self.assertEqual((status, headers["Content-Type"]), (200, PAGE_TYPE))
        return text

    def families(self):
        return {family.name: family for family in text_string_to_metric_families(self.page())}

    def test_they_take_their_scope(self):
        self.assertEqual(self.ask(self.service, "/metrics")[0], 401)
        self.assertEqual(self.ask(self.service, "/metrics", self.user)[0], 403)
        self.assertEqual(self.ask(self.service, "/metrics", "tacit_0123456789abcdef_x")[0], 401)

    def test_a_strict_parser_reads_them_and_they_keep_the_conventions(self):
        self.predict_once(self.service, self.user)
        families = self.families()
        self.assertGreater(len(families), 35)
        for name, family in families.items():
            self.assertRegex(name, r"^(tacit|process)_[a-z_]+$")
            self.assertIn(family.type, ("counter", "gauge", "histogram"), name)
            self.assertTrue(family.documentation.endswith("."), name)
            self.assertTrue(family.samples, name)
            if family.type == "counter":  # the parser takes _total off a counter's name
                self.assertTrue(all(sample.name == name + "_total" for sample in family.samples), name)
            else:
                self.assertFalse(name.endswith("_total"), name)
            if family.type == "histogram":
                self.assertTrue(name.endswith("_seconds"), name)
                self.check_histogram(family)
        success = {"model": "tiny", "outcome": "success"}
        self.assertGreaterEqual([s.value for s in families["tacit_inference_requests"].samples if s.labels == success][0], 1)
        self.assertGreater(families["process_resident_memory_bytes"].samples[0].value, 1 << 20)
        self.assertLess(abs(families["process_start_time_seconds"].samples[0].value - time.time()), 3600)

    def check_histogram(self, family):
        """Buckets grow, and the last of them is the count."""
        series = {}
        for sample in family.samples:
            key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            one = series.setdefault(key, {"buckets": [], "count": None})
            if sample.name.endswith("_bucket"):
                one["buckets"].append((float(sample.labels["le"]), sample.value))
            elif sample.name.endswith("_count"):
                one["count"] = sample.value
        for one in series.values():
            self.assertEqual(one["buckets"], sorted(one["buckets"]), family.name)
            self.assertEqual([count for _, count in one["buckets"]], sorted(count for _, count in one["buckets"]))
            self.assertEqual(one["buckets"][-1], (float("inf"), one["count"]))

    @unittest.skipUnless(PROMTOOL, "no promtool")
    def test_promtool_has_nothing_to_say(self):
        done = promtool("check", "metrics", text=self.page())
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_no_label_tells_who_or_which(self):
        self.predict_once(self.service, self.user)
        status, _, text = self.ask(self.service, "/v2/keys", self.user, request_id=REQUEST_ID)
        self.assertEqual(status, 200)
        secrets = {TENANT, REQUEST_ID, self.token.split("_")[1], self.user.split("_")[1]}
        for key_set in json.loads(text)["key_sets"]:
            secrets.update((key_set["key_id"], key_set["key_tag"]))
        self.assertEqual(self.ask(self.service, "/v2/jobs/zebra-job", self.user)[0], 404)
        self.assertEqual(self.ask(self.service, "/v2/models/zebra-model", self.user)[0], 404)
        self.assertEqual(self.ask(self.service, "/zebra-path", self.user)[0], 404)
        self.assertGreater(len(secrets), 5)
        names, values = set(), set()
        for family in self.families().values():
            for sample in family.samples:
                names.update(sample.labels)
                values.update(sample.labels.values())
        self.assertEqual(names, {"route", "method", "status", "reason", "model", "outcome", "layer", "kind", "state",
                                 "version", "compiler", "le"})
        for value in values:
            for secret in secrets | {"zebra"}:
                self.assertNotIn(secret, value)

    def test_requests_are_counted_by_their_routes_pattern(self):
        def count():
            wanted = {"route": "/v2/models/{model}", "method": "GET", "status": "404"}
            found = [s.value for s in self.families()["tacit_http_requests"].samples if s.labels == wanted]
            return found[0] if found else 0
        before = count()
        for _ in range(3):
            self.ask(self.service, "/v2/models/absent", self.user)
        # A request is counted after its answer is sent, so that those who have the last answer may come before.
        end = time.monotonic() + 10
        while count() < before + 3 and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(count(), before + 3)

    def test_statistics_are_announced_and_there(self):
        self.assertIn("statistics", json.loads(self.ask(self.service, "/v2")[2])["extensions"])
        page = json.loads(self.ask(self.service, "/v2/models/tiny/stats", self.token)[2])
        self.assertEqual(page["model_stats"][0]["name"], "tiny")


class Deployment(MonitoringTest):
    """Whatever the dashboard and the alarms ask for is there. The server has TLS, so that the certificate is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        authority = make_authority(cls.folder)
        certificate, key = make_certificate(cls.folder, authority)
        cls.authority = authority[0]
        cls.service = cls.start_service(authority=cls.authority,
                                        settings={"tls.certificate": certificate, "tls.private_key": key})
        path = cls.write_images(cls(), "image", 1)[0][0]
        done = tacit("predict", "--server", cls.service.url, "--ca-file", cls.authority, "--model", "tiny", path, home=cls.home)
        assert done.returncode == 0, done.stderr
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", cls.authority, cls.service.url + "/metrics"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        cls.samples, cls.labels = set(), {}
        for family in text_string_to_metric_families(done.stdout):
            for sample in family.samples:
                cls.samples.add(sample.name)
                cls.labels.setdefault(sample.name, set()).update(sample.labels)

    def expressions(self):
        """(where, PromQL) of every panel and alarm."""
        board = json.loads(DASHBOARD.read_text())
        found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found.append((variable["name"], variable["query"]["query"]))
        text = ALERTS.read_text()
        alarms = re.findall(r"- alert: (\w+)\n\s+expr: (?:\|\n((?:\s{10,}.+\n)+)|(.+)\n)", text)
        self.assertEqual(len(alarms), text.count("- alert:"))
        return found + [(name, block or line) for name, block, line in alarms]

    def test_every_name_that_is_asked_for_exists(self):
        expressions = self.expressions()
        self.assertGreater(len(expressions), 50)
        for where, expression in expressions:
            if where == "TacitDown":
                continue  # of Prometheus itself
            names = NAME.findall(expression)
            self.assertTrue(names, f"{where}: {expression}")
            for name in names:
                self.assertIn(name, self.samples, f"{where}: {expression}")
            # Labels in selectors and in "by": those of these metrics, and Prometheus' own.
            known = set().union(*(self.labels[name] for name in names)) | {"instance", "le"}
            for clause in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
                self.assertLessEqual(set(re.split(r",\s*", clause)), known, f"{where}: {expression}")
            for label in re.findall(r"[{,]\s*(\w+)=~?\"", expression):
                self.assertIn(label, known, f"{where}: {expression}")

    def test_the_dashboard_has_its_rows_and_whole_panels(self):
        board = json.loads(DASHBOARD.read_text())
        rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
        self.assertEqual(rows, ["Traffic", "Latency", "Queue", "Memory", "Disk", "Errors"])
        ids = [panel["id"] for panel in board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in board["panels"]:
            if panel["type"] != "row":
                self.assertTrue(panel["targets"] and panel["title"])
                self.assertLessEqual(panel["gridPos"]["x"] + panel["gridPos"]["w"], 24)

    @unittest.skipUnless(PROMTOOL, "no promtool")
    def test_promtool_takes_the_alarms(self):
        done = promtool("check", "rules", ALERTS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Log(MonitoringTest):
    def test_json_lines_are_objects_with_the_request(self):
        service = self.start_service("json", settings={"log.format": "json"})
        self.ask(service, "/v2/models/absent", request_id=REQUEST_ID)
        self.assertEqual(service.stop(), 0)
        lines = [line for line in service.read_log().splitlines() if not line.startswith("tacitd: ")]
        objects = [json.loads(line) for line in lines]
        self.assertTrue(all({"time", "level", "message"} <= set(line) for line in objects))
        mine = [line for line in objects if line.get("request_id") == REQUEST_ID]
        self.assertEqual(len(mine), 1)
        request = mine[0]
        self.assertEqual((request["message"], request["method"], request["path"], request["status"], request["level"]),
                         ("request", "GET", "/v2/models/absent", 404, "info"))
        self.assertTrue(all(type(request[name]) is int for name in ("in", "out", "ms")), request)
        self.assertEqual(request["peer"], "127.0.0.1")
        self.assertTrue(any(line["message"] == "model loaded" and line["model"] == "tiny" for line in objects))

    def test_a_token_is_in_no_line(self):
        state = self.folder / "quiet"
        token = self.make_token(state)
        service = self.start_service("quiet")
        self.predict_once(service, token)
        self.ask(service, "/v2/models?token=" + token, token)
        service.stop()
        self.assertNotIn(token.split("_", 2)[2], service.read_log())
        for file in (state / "audit").glob("*.log"):
            self.assertNotIn(token.split("_", 2)[2], file.read_text())


class Audit(MonitoringTest):
    def lines(self, state):
        return [json.loads(line) for file in sorted((state / "audit").glob("*.log"))
                for line in file.read_text().splitlines()]

    def check(self, state):
        done = self.tacitd("check", "--state", state)
        return done.returncode, done.stdout

    def test_the_command_line_writes_beside_a_running_server(self):
        state = self.folder / "beside"
        token = self.make_token(state)
        service = self.start_service("beside")
        self.predict_once(service, token)
        other = self.make_token(state, "giraffe-tenant", "infer")
        for _ in range(100):
            self.ask(service, "/v2/models", "tacit_0123456789abcdef_wrong")
        self.assertEqual(self.tacitd("token", "revoke", "--state", state, other.split("_")[1]).returncode, 0)
        self.predict_once(service, token)
        copy = self.folder / "copy"
        self.assertEqual(self.tacitd("backup", "--state", state, "--to", copy).returncode, 0)
        self.assertEqual(service.stop(), 0)
        for folder in (state, copy):
            self.assertEqual(self.check(folder), (0, ""))
        lines = self.lines(state)
        events = [line["event"] for line in lines]
        self.assertEqual(events[:3], ["token.created", "server.start", "model.loaded"])
        self.assertEqual(events[-1], "server.stop")
        for event, count in (("token.created", 2), ("token.revoked", 1), ("prediction", 2)):
            self.assertEqual(events.count(event), count, events)
        self.assertEqual([line["new"] for line in lines if line["event"] == "keys.stored"][0], True)
        self.assertEqual(sum(line["new"] for line in lines if line["event"] == "keys.stored"), 1)
        refused = [line for line in lines if line["event"] == "authentication.refused"]
        self.assertEqual(sum(line["count"] for line in refused), 100)
        self.assertLessEqual(len(refused), 2)
        predictions = [line for line in lines if line["event"] == "prediction"]
        self.assertEqual({(line["tenant"], line["token"], line["model"], line["code"]) for line in predictions},
                         {(TENANT, token.split("_")[1], "tiny", "ok")})
        self.assertEqual(len(lines[events.index("server.start")]["configuration"]), 64)

    def test_what_was_altered_is_named(self):
        state = self.folder / "altered"
        for i in range(4):
            self.make_token(state, f"tenant-{i}")
        self.assertEqual(self.check(state), (0, ""))
        file = state / "audit/0001.log"
        file.write_text(file.read_text().replace("tenant-1", "tenant-9"))
        code, said = self.check(state)
        self.assertEqual(code, 1)
        self.assertIn("0001.log:3 does not follow from the line before it", said)

    def test_kills_leave_a_chain_that_holds(self):
        state = self.folder / "killed"
        token = self.make_token(state)
        for round in range(4):
            service = self.start_service("killed")
            self.predict_once(service, token)
            service.process.kill()
            service.process.wait()
            file = sorted((state / "audit").glob("*.log"))[-1]
            if round == 2:  # as if the power had gone while a line was written
                file.write_bytes(file.read_bytes()[:-20])
        service = self.start_service("killed")
        self.assertEqual(service.stop(), 0)
        self.assertEqual(self.check(state), (0, ""))
        events = [line["event"] for line in self.lines(state)]
        self.assertEqual(events.count("server.start"), 5)
        self.assertEqual(events.count("audit.cut"), 1)


if __name__ == "__main__":
    unittest.main()
