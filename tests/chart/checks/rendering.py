"""What the chart renders, looked at as data: no cluster needed."""

import json
import re

import generated
import helm
import values
from helm import CHART, NAMESPACE, ROOT, documents, find, objects
from report import Failure, expect

CI = sorted((CHART / "ci").glob("*.yaml"))


def up_to_date():
    """The generated files are what their sources say."""
    for name in generated.PARTS:
        stale = [str(path) for path, _ in generated.differing(generated.PARTS[name]())]
        expect(f"stale files, tests/chart/generate {name} writes them", stale, [])


def reader_agrees():
    """Our reader of values.yaml reads what helm reads."""
    text = helm.run("show", "values", CHART)
    ours = values.defaults(values.read((CHART / "values.yaml").read_text()))
    expect("values", json.loads(json.dumps(ours)), documents(text)[0])


def versions():
    """The chart installs the version that Cargo.toml builds, and says so."""
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    chart = documents((CHART / "Chart.yaml").read_text())[0]
    expect("appVersion", chart["appVersion"], version)
    for name in ("sidelight", "sidelight-injector"):
        expect(f"image of {name}", f"/{name}:{version}" in chart["annotations"]["artifacthub.io/images"], True)


def lint():
    """helm lint, strictly, with the defaults and every file of values."""
    for path in [None, *CI, CHART / "values-ha.yaml"]:
        helm.run("lint", "--strict", "--kube-version", helm.KUBERNETES, CHART, *(["-f", path] if path else []))


def refused():
    """The schema refuses what is misspelled or of the wrong kind, with the place."""
    cases = {
        "sidecar.portt=1": "portt",
        "injector.replicas=0": "replicas",
        "injection.mode=webhok": "mode",
        "image.digest=sha256:12": "digest",
        "sidecar.finalScrape.jobs=35": "jobs",
        "revision=Canary": "revision",
        "sidecar.namespaces.shop.prot=1": "prot",
        "sidecar.allow={command}": "allow",
        "tls.mode=helm": "tls",
        "podMonitor.sampleLimit=many": "sampleLimit",
    }
    for setting, named in cases.items():
        done = helm.template("--set", setting, check=False)
        if done.returncode == 0 or named not in done.stderr:
            raise Failure(f"--set {setting} was taken, or `{named}` is not named:\n{done.stderr}")


def explained():
    """What cannot be rendered says what to do."""
    cases = {
        ("tls.mode=provided",): "tls.provided.caBundle",
        ("tls.mode=cert-manager",): "forceKinds={cert-manager}",
        ("injection.mode=policy",): "forceKinds={policy}",
    }
    for settings, named in cases.items():
        done = helm.template(*[part for one in settings for part in ("--set", one)], check=False)
        if done.returncode == 0 or named not in done.stderr:
            raise Failure(f"{settings}: `{named}` is not named:\n{done.stderr}")


def self_managed():
    """Neither trust nor key is rendered, whatever is rendered twice is the same, and nothing is taken away that the
    injector writes."""
    for _ in range(2):
        for one in objects():
            if one["kind"] == "MutatingWebhookConfiguration":
                held = [hook for hook in one["webhooks"] if "caBundle" in hook["clientConfig"]]
                expect("webhooks with a caBundle", held, [])
            if one["kind"] == "Secret":
                expect("what the Secret holds", sorted({"data", "stringData"} & set(one)), [])
    expect("rendered twice", helm.template(), helm.template())


def rights():
    """Exactly these rights; only `create`, and what is read as metadata, go without a name."""
    found = objects()
    rules = {
        kind: [
            (tuple(rule["apiGroups"]), tuple(rule["resources"]), tuple(rule.get("resourceNames", [])), tuple(rule["verbs"]))
            for rule in find(found, kind)["rules"]
        ]
        for kind in ("Role", "ClusterRole")
    }
    leases = ("coordination.k8s.io",), ("leases",)
    secrets = ("",), ("secrets",)
    expect(
        "rights in the namespace",
        rules["Role"],
        [
            (*leases, ("sidelight-injector",), ("get", "update")),
            (*leases, (), ("create",)),
            (*secrets, ("sidelight-injector-tls",), ("get", "update")),
            (*secrets, (), ("create",)),
        ],
    )
    webhooks = ("admissionregistration.k8s.io",), ("mutatingwebhookconfigurations",), ("00-sidelight-injector",)
    expect(
        "rights in the cluster",
        rules["ClusterRole"],
        [
            (*webhooks, ("get", "patch")),
            (("events.k8s.io",), ("events",), (), ("create",)),
            (("",), ("namespaces",), (), ("list", "watch")),
            (("",), ("pods",), (), ("list",)),
        ],
    )
    without = objects("--set", "injector.countMissing.enabled=false,injector.watchNamespaces=false", "-f", CHART / "ci/cert-manager.yaml")
    left = [(rule["resources"], rule["verbs"]) for rule in find(without, "ClusterRole")["rules"]]
    expected = [(["mutatingwebhookconfigurations"], ["get"]), (["events"], ["create"])]
    expect("rights in the cluster without what can be left out", left, expected)
    expect("rights in the namespace with cert-manager", len(find(without, "Role")["rules"]), 2)


def matches(expressions, labels):
    """Whether labels meet matchExpressions; an oracle of a dozen lines."""
    for one in expressions:
        there, value = one["key"] in labels, labels.get(one["key"])
        fits = {
            "In": there and value in one.get("values", []),
            "NotIn": not there or value not in one.get("values", []),
            "Exists": there,
            "DoesNotExist": not there,
        }[one["operator"]]
        if not fits:
            return False
    return True


def answering(configurations, namespace, pod):
    """Names of the configurations that answer for a pod, as often as they would."""
    namespace = {"kubernetes.io/metadata.name": "shop", **namespace}
    return [
        configuration["metadata"]["name"]
        for configuration in configurations
        for hook in configuration["webhooks"]
        if matches(hook["namespaceSelector"]["matchExpressions"], namespace)
        and matches(hook["objectSelector"]["matchExpressions"], pod)
    ]


def revisions():
    """Of two releases side by side exactly one answers for a pod, once; they share no name."""
    first, canary = objects(), objects("-f", CHART / "ci/canary.yaml", release="sidelight-canary")
    both = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in first + canary]
    expect("names used twice", sorted({name for name in both if both.count(name) > 1}), [])
    selectors = [find(found, "Deployment")["spec"]["selector"]["matchLabels"] for found in (first, canary)]
    expect("selectors of both", selectors[0] == selectors[1], False)
    configurations = [find(found, "MutatingWebhookConfiguration") for found in (first, canary)]
    rev, enabled, inject = "sidelight.dev/rev", "sidelight.dev/injection", "sidelight.dev/inject"
    own, other = "00-sidelight-injector", "00-sidelight-injector-canary"
    combinations = 0
    for enabling in ({}, {enabled: "enabled"}, {enabled: "disabled"}):
        for wish in ({}, {inject: "true"}, {inject: "false"}):
            for of_namespace in (None, "default", "canary", "gone"):
                for of_pod in (None, "default", "canary", "gone"):
                    namespace = {**enabling, **({rev: of_namespace} if of_namespace else {})}
                    pod = {**wish, **({rev: of_pod} if of_pod else {})}
                    wanted = wish.get(inject, "true" if enabling.get(enabled) == "enabled" else "false") == "true"
                    chosen = {"default": [own], "canary": [other]}.get(of_pod or of_namespace or "default", [])
                    expected = chosen if wanted else []
                    expect(f"{namespace} {pod}", answering(configurations, namespace, pod), expected)
                    combinations += 1
    expect("combinations", combinations, 144)
    for left_alone in ("kube-system", NAMESPACE):
        found = answering(configurations, {"kubernetes.io/metadata.name": left_alone, enabled: "enabled"}, {inject: "true"})
        expect(left_alone, found, [])
    names = [configuration["metadata"]["name"] for configuration in configurations]
    expect("in front of the meshes", all(name < "istio-" and name < "linkerd-" for name in names), True)


def restricted():
    """Every pod of ours meets Pod Security "restricted" and never asks for a token that it does not need."""
    for arguments in ([], ["-f", CHART / "values-ha.yaml"]):
        for one in objects(*arguments):
            spec = one["spec"] if one["kind"] == "Pod" else one.get("spec", {}).get("template", {}).get("spec")
            if not spec:
                continue
            for container in spec["containers"]:
                context = container["securityContext"]
                name = f"{one['kind']} {container['name']}"
                expect(f"{name} escalation", context["allowPrivilegeEscalation"], False)
                expect(f"{name} root", context["runAsNonRoot"], True)
                expect(f"{name} capabilities", context["capabilities"], {"drop": ["ALL"]})
                expect(f"{name} seccomp", context["seccompProfile"], {"type": "RuntimeDefault"})
                expect(f"{name} file system", context["readOnlyRootFilesystem"], True)
            expect("on the host's network", spec.get("hostNetwork", False), False)


def monitors():
    """The PodMonitor leaves the interval to Prometheus, drops the operator's `endpoint`, and its limits lie above
    what a sidecar may expose."""
    forced = ["--set", "forceKinds={monitoring}"]
    spec = find(objects(*forced), "PodMonitor")["spec"]
    endpoint = spec["podMetricsEndpoints"][0]
    expect("interval", "interval" in endpoint, False)
    expect("labeldrop", {"action": "labeldrop", "regex": "endpoint"} in endpoint["relabelings"], True)
    expect("jobLabel", spec["jobLabel"], "app.kubernetes.io/name")
    # eleven bounds give as many buckets, +Inf, sum and count; overflow series are added to the
    # limit
    if spec["sampleLimit"] < 5000 * 14 + 10 * 257:
        raise Failure(f"sampleLimit {spec['sampleLimit']} is below what 5,000 histograms expose")
    few = objects(*forced, "--set", "sidecar.defaults.metrics.limits.series=100")
    expect("sampleLimit of 100 series", find(few, "PodMonitor")["spec"]["sampleLimit"], 6600)
    alerts = [rule for group in find(few, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    budget = next(rule["expr"] for rule in alerts if rule["alert"] == "SidelightScrapeBudget")
    expect("its alert", "> 0.8 * 6600" in budget, True)
    expect("kinds without the operator", [one["kind"] for one in objects() if "Monitor" in one["kind"]], [])


def switches():
    """Values that take something away or give it another name."""
    digest = "sha256:" + "1" * 64
    injector = f"example/injector@{digest}"
    by_digest = objects("--set", f"image.digest={digest},injector.image={injector}")
    image = find(by_digest, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    expect("image of the injector", image, injector)
    configuration = find(by_digest, "ConfigMap", "sidelight-injector")["data"]["injector.yaml"]
    expect("image of the sidecar", f'image: "ghcr.io/example/sidelight@{digest}"' in configuration, True)
    everything = objects("-f", CHART / "ci/everything.yaml")
    for kind in ("PodMonitor", "ServiceMonitor", "PrometheusRule"):
        expect(f"labels of the {kind}", find(everything, kind)["metadata"]["labels"]["release"], "prometheus")
    boards = [one for one in everything if "dashboard" in one["metadata"]["name"]]
    expect("dashboards with labels", [one["metadata"]["labels"]["dashboards"] for one in boards], ["here"] * 3)
    rules = [rule["alert"] for group in find(everything, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    expect("switched off", "SidelightVersionMix" in rules, False)
    expect("by kube-state-metrics", "SidelightMissingFromPods" in rules, True)
    owners = {one["metadata"]["labels"].get("owner") for one in everything if one["metadata"]["name"] != "sidelight-extra"}
    expect("common labels", owners, {"platform"})
    pod = find(everything, "Deployment")["spec"]["template"]["spec"]
    expect("hostNetwork", (pod["hostNetwork"], pod["dnsPolicy"]), (True, "ClusterFirstWithHostNet"))
    policies = [one for one in everything if one["kind"] == "NetworkPolicy"]
    expect("policies, without effect on the host's network", policies, [])
    peer = '{"ipBlock":{"cidr":"10.0.0.0/28"}}'
    limited = objects("-f", CHART / "ci/everything.yaml", "--set", "injector.hostNetwork=false",
                      "--set-json", f"injector.networkPolicy.apiServer=[{peer}]")
    policy = find(limited, "NetworkPolicy")["spec"]["ingress"]
    expect("open ports", [rule["ports"][0]["port"] for rule in policy], [8444, 19465])
    expect("who reaches the webhook", policy[0]["from"], [json.loads(peer)])
    by_default = find(objects(), "NetworkPolicy")["spec"]["ingress"]
    expect("by default", [(rule["ports"][0]["port"], "from" in rule) for rule in by_default], [(8443, False), (19464, False)])
    kinds = {one["kind"] for one in objects("-f", CHART / "ci/none.yaml")}
    expect("without injection", kinds, {"ConfigMap", "PodMonitor", "PrometheusRule"})


def notes():
    """NOTES print what to run next, what a drain needs, and what stays as it is."""
    said = helm.notes()
    for part in ("helm test", "sidelight.dev/injection=enabled", "rollout restart", "--delete-emptydir-data",
                 "until their pods are re-created", "sidelight_build_info", "check --cluster"):
        if part not in said:
            raise Failure(f"NOTES do not say `{part}`:\n{said}")
    expect("{{ in the text", "{{" in said, False)
    canary = helm.notes("-f", CHART / "ci/canary.yaml")
    expect("the revision's label", "sidelight.dev/rev=canary" in canary, True)
    failing = helm.notes("--set", "injection.failurePolicy=Fail")
    expect("what Fail means", "do not start" in failing, True)
    expect("without injection", "sidelight inject -f" in helm.notes("-f", CHART / "ci/none.yaml"), True)


def image_volumes():
    """`auto` uses image volumes only if every Linux node has them; without a cluster it does not."""
    new, old = ("v1.36.3", "containerd://2.1.5", "linux"), ("v1.36.3", "containerd://1.7.29", "linux")
    cases = [
        ([], "never"),
        ([new], "always"),
        ([new, old], "never"),
        ([new, ("v1.35.1", "containerd://2.2.0", "linux")], "never"),
        ([("v1.36.0+k3s1", "containerd://2.1.5-k3s1", "linux"), ("v1.37.0", "cri-o://1.36.1", "linux")], "always"),
        ([("v1.36.0", "cri-o://1.35.2", "linux")], "never"),
        ([("v1.36.0", "docker://28.0.1", "linux")], "never"),
        ([("v1.36.0", "containerd://v2.0.0~rc.1", "linux")], "never"),
        ([("", "", "linux")], "never"),
        ([new, ("v1.34.0", "containerd://1.7.1", "windows")], "always"),
        ([("v1.36.0", "containerd://2.1.5", "windows")], "never"),
    ]
    for nodes, expected in cases:
        keys = ("kubeletVersion", "containerRuntimeVersion", "operatingSystem")
        items = [{"metadata": {"name": "n"}, "status": {"nodeInfo": dict(zip(keys, node))}} for node in nodes]
        probe = '{{ include "sidelight.imageVolumeOfNodes" .Values.sidecar.defaults.nodes }}'
        extra = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}, "data": {"found": probe}}]
        found = objects("--set-json", f"extraObjects={json.dumps(extra)}",
                        "--set-json", f"sidecar.defaults.nodes={json.dumps(items)}")
        expect(f"nodes {nodes}", find(found, "ConfigMap", "probe")["data"]["found"], expected)
    for wanted, expected in (("auto", "never"), ("always", "always"), ("never", "never")):
        found = objects("--set", f"sidecar.tee.imageVolume={wanted}")
        text = find(found, "ConfigMap", "sidelight-injector")["data"]["injector.yaml"]
        expect(wanted, documents(text)[0]["tee"], {"image_volume": expected})


def check(report):
    """All of them."""
    helm.run("version")
    report.check("generated files are up to date", up_to_date)
    report.check("our reader and helm read the same values", reader_agrees)
    report.check("the version is Cargo.toml's", versions)
    report.check("helm lint --strict with all values", lint)
    report.check("the schema refuses what is wrong", refused)
    report.check("what cannot be rendered is explained", explained)
    report.check("self-managed renders neither trust nor keys", self_managed)
    report.check("rights by name", rights)
    report.check("two revisions, 144 combinations of labels", revisions)
    report.check("Pod Security restricted", restricted)
    report.check("monitors and their limits", monitors)
    report.check("image volumes only where all nodes have them", image_volumes)
    report.check("switches", switches)
    report.check("notes", notes)
