{{/* What a value is that is missing or null: an empty list or map, else the default of values.yaml, from which
     tests/chart/generate writes this. */}}
{{- define "sidelight.defaults" -}}
{
  "image": {
    "repository": "ghcr.io/example/sidelight",
    "digest": "",
    "tag": "",
    "pullPolicy": "IfNotPresent",
    "pullSecrets": []
  },
  "revision": "",
  "injection": {
    "mode": "webhook",
    "failurePolicy": "Ignore",
    "timeoutSeconds": 2,
    "namespaceSelector": [],
    "objectSelector": [],
    "excludeNamespaces": [],
    "url": ""
  },
  "sidecar": {
    "image": "",
    "mode": "native",
    "port": 19464,
    "platform": "auto",
    "mesh": "auto",
    "otlp": {
      "endpoint": "",
      "protocol": "http/protobuf",
      "headers": {},
      "headersSecret": {
        "name": "",
        "key": "headers"
      }
    },
    "resources": {},
    "metrics": {
      "prefix": "",
      "groups": {
        "http": true,
        "database": true,
        "log": true,
        "functions": true
      }
    },
    "tee": {
      "imageVolume": "auto"
    },
    "volumeSizeLimit": "",
    "startupProbe": {
      "periodSeconds": 1,
      "timeoutSeconds": 5,
      "failureThreshold": 60
    },
    "livenessProbe": {
      "periodSeconds": 10,
      "timeoutSeconds": 5,
      "failureThreshold": 6
    },
    "finalScrape": {
      "jobs": "35s",
      "others": "0s",
      "scrapers": 1
    },
    "allow": [],
    "entrypoints": {},
    "defaults": {},
    "namespaces": {}
  },
  "injector": {
    "replicas": 2,
    "resources": {},
    "hostNetwork": false,
    "port": 8443,
    "adminPort": 19464,
    "image": "",
    "logLevel": "info",
    "priorityClassName": "",
    "topologySpread": [],
    "nodeSelector": {},
    "tolerations": [],
    "affinity": {},
    "podDisruptionBudget": {
      "enabled": true
    },
    "networkPolicy": {
      "enabled": true,
      "apiServer": [],
      "scrapers": []
    },
    "countMissing": {
      "enabled": true,
      "interval": "60s"
    },
    "watchNamespaces": true,
    "podLabels": {},
    "podAnnotations": {}
  },
  "tls": {
    "mode": "self-managed",
    "certManager": {
      "issuerRef": {},
      "duration": "2160h",
      "renewBefore": "720h"
    },
    "provided": {
      "secretName": "",
      "caBundle": "",
      "publishCa": false
    }
  },
  "podMonitor": {
    "enabled": true,
    "labels": {},
    "jobLabel": "app.kubernetes.io/name",
    "interval": "",
    "scrapeTimeout": "",
    "sampleLimit": 0,
    "labelLimit": 32,
    "createdTimestamps": false,
    "scrapeProtocols": [],
    "relabelings": [],
    "metricRelabelings": []
  },
  "serviceMonitor": {
    "enabled": true,
    "labels": {},
    "interval": ""
  },
  "prometheusRule": {
    "enabled": true,
    "labels": {},
    "alertLabels": {},
    "runbookUrl": "https://github.com/example/sidelight/blob/main/docs/alerts.md",
    "kubeStateMetrics": false,
    "disabled": []
  },
  "dashboards": {
    "enabled": true,
    "labels": {},
    "annotations": {}
  },
  "forceKinds": [],
  "helmTest": {
    "enabled": true,
    "namespace": "default"
  },
  "commonLabels": {},
  "extraObjects": []
}
{{- end }}
