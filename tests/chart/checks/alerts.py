"""The alerts by promtool: they are well-formed, each is seen firing, and the chart renders these and no others."""

import json
import tempfile
from pathlib import Path

import helm
from apiserver import run
from helm import CACHE, CHART, ROOT
from report import Skip, expect

PROMTOOL = CACHE / "bin/promtool"
RULES = CHART / "rules/sidelight.yaml"
TESTS = sorted((ROOT / "tests/chart/rules").glob("*.yaml"))


def well_formed():
    """promtool reads the file as Prometheus does."""
    run(PROMTOOL, "check", "rules", "--lint=all", "--lint-fatal", RULES)


def fire():
    """promtool's unit tests."""
    for path in TESTS:
        with tempfile.TemporaryDirectory(prefix="sidelight-alerts-") as folder:
            tests = Path(folder) / path.name
            tests.write_text(path.read_text().replace("RULES", str(RULES)))
            run(PROMTOOL, "test", "rules", tests)


def all_tested():
    """No alert is left out: each has a test in which it fires."""
    rules = helm.documents(RULES.read_text())[0]
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tests = [test for path in TESTS for test in helm.documents(path.read_text())[0]["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    expect("alerts never seen firing", sorted(names - {case["alertname"] for case in cases if case["exp_alerts"]}), [])


def rendered():
    """The PrometheusRule holds the file's alerts, word for word; each leads to the page that explains it."""
    rules = helm.documents(RULES.read_text())[0]["groups"]
    values = "forceKinds={monitoring},prometheusRule.kubeStateMetrics=true"

    def groups(more):
        return helm.find(helm.objects("--set", values + more), "PrometheusRule")["spec"]["groups"]

    plain = groups(",prometheusRule.runbookUrl=")
    expect("alerts", json.dumps(plain, sort_keys=True), json.dumps(rules, sort_keys=True))
    linked = groups(",prometheusRule.runbookUrl=https://runbooks.example/alerts.md")
    for rule in [rule for group in linked for rule in group["rules"]]:
        url = "https://runbooks.example/alerts.md#" + rule["alert"].lower()
        expect(f"the runbook of {rule['alert']}", rule["annotations"].pop("runbook_url"), url)
    expect("the rest", json.dumps(linked, sort_keys=True), json.dumps(rules, sort_keys=True))


def check(report):
    """All of them."""
    if not PROMTOOL.exists():
        raise Skip(f"no {PROMTOOL}; tests/peers/build")
    report.check("promtool check rules", well_formed)
    report.check("promtool test rules: firing and silent", fire)
    report.check("every alert has been seen firing", all_tested)
    report.check("the PrometheusRule is the file", rendered)
