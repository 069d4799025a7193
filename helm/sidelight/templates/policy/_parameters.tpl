{{/* What the policy's CEL reads, flat and as text. Call with (dict "context" . "overrides" OF_A_NAMESPACE). */}}
{{- define "sidelight.policyParameters" -}}
{{- $context := .context }}
{{- $sidecar := $context.Values.sidecar }}
{{- $of := .overrides }}
{{- if eq ($of.mode | default $sidecar.mode) "classic" }}
{{- fail "a MutatingAdmissionPolicy makes native sidecars only: set sidecar.mode=native, or injection.mode=webhook" }}
{{- end }}
{{- $resources := mergeOverwrite (deepCopy $sidecar.resources) (deepCopy ($of.resources | default dict)) }}
{{- $finalScrape := mergeOverwrite (deepCopy $sidecar.finalScrape) (deepCopy ($of.finalScrape | default dict)) }}
{{- $metrics := mergeOverwrite (deepCopy $sidecar.metrics) (deepCopy ($of.metrics | default dict)) }}
{{- $otlp := $of.otlp | default $sidecar.otlp }}
{{- $off := list }}
{{- range $group := list "http" "database" "log" "functions" }}
{{- if not (get $metrics.groups $group) }}{{ $off = append $off $group }}{{ end }}
{{- end }}
{{- $openshift := or (eq $sidecar.platform "openshift") (and (eq $sidecar.platform "auto") ($context.Capabilities.APIVersions.Has "security.openshift.io/v1")) }}
revision: {{ include "sidelight.revision" $context }}
version: {{ $context.Chart.AppVersion | quote }}
# not the injector's hash, but like it different where two configurations are
config_hash: {{ include "sidelight.injectorConfig" $context | sha256sum | trunc 16 | quote }}
image: {{ $sidecar.image | default (include "sidelight.image" $context) | quote }}
image_pull_policy: {{ $context.Values.image.pullPolicy }}
{{- with $context.Values.image.pullSecrets }}
image_pull_secrets: {{ join "," . | quote }}
{{- end }}
port: {{ $of.port | default $sidecar.port | quote }}
platform: {{ $openshift | ternary "openshift" "kubernetes" }}
mesh: {{ $sidecar.mesh | quote }}
{{- if $otlp.endpoint }}
otlp_endpoint: {{ $otlp.endpoint | quote }}
{{- with $otlp.protocol }}
otlp_protocol: {{ . }}
{{- end }}
{{- $secret := $otlp.headersSecret | default dict }}
{{- if $secret.name }}
otlp_headers_secret.name: {{ $secret.name | quote }}
otlp_headers_secret.key: {{ $secret.key | default "headers" | quote }}
{{- else }}
{{- with $otlp.headers }}
{{- $pairs := list }}
{{- range $name, $value := . }}
{{- $pairs = append $pairs (printf "%s=%s" (lower $name) ($value | replace "%" "%25" | replace "," "%2c" | replace "=" "%3d")) }}
{{- end }}
otlp_headers: {{ join "," $pairs | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq (include "sidelight.imageVolume" $context) "always" }}
image_volume: always
{{- end }}
{{- range $kind := list "requests" "limits" }}
{{- range $name, $quantity := get $resources $kind | default dict }}
{{ $kind }}.{{ $name }}: {{ $quantity | quote }}
{{- end }}
{{- end }}
{{- with $sidecar.volumeSizeLimit }}
volume_size_limit: {{ . | quote }}
{{- end }}
{{- range $key, $probe := dict "startup_probe" $sidecar.startupProbe "liveness_probe" $sidecar.livenessProbe }}
{{ $key }}.period_seconds: {{ $probe.periodSeconds | quote }}
{{ $key }}.timeout_seconds: {{ $probe.timeoutSeconds | quote }}
{{ $key }}.failure_threshold: {{ $probe.failureThreshold | quote }}
{{- end }}
final_scrape.jobs: {{ $finalScrape.jobs | quote }}
final_scrape.others: {{ $finalScrape.others | quote }}
final_scrape.scrapers: {{ $finalScrape.scrapers | quote }}
{{- with $metrics.prefix }}
metrics_prefix: {{ . | quote }}
{{- end }}
{{- with $off }}
metrics_groups_off: {{ join "," . | quote }}
{{- end }}
{{- with $sidecar.defaults }}
defaults: |
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The ways of opting in, as JSON: name, and expressions of the namespace and of the pod. The pod's revision wins over
     its namespace's, and a pod without one gets the default; the opt-in label of a pod wins over its namespace's. No pod
     matches two of them, or one of another revision. */}}
{{- define "sidelight.entries" -}}
{{- $rev := "sidelight.dev/rev" }}
{{- $absent := dict "key" $rev "operator" "DoesNotExist" }}
{{- $ours := dict "key" $rev "operator" "In" "values" (list (include "sidelight.revision" .)) }}
{{- $enabled := dict "key" "sidelight.dev/injection" "operator" "In" "values" (list "enabled") }}
{{- $notEnabled := dict "key" "sidelight.dev/injection" "operator" "NotIn" "values" (list "enabled") }}
{{- $notOut := dict "key" "sidelight.dev/inject" "operator" "NotIn" "values" (list "false") }}
{{- $optedIn := dict "key" "sidelight.dev/inject" "operator" "In" "values" (list "true") }}
{{- $entries := list }}
{{- if not .Values.revision }}
{{- $entries = append $entries (dict "name" "namespace" "namespace" (list $enabled $absent) "pod" (list $notOut $absent)) }}
{{- $entries = append $entries (dict "name" "object" "namespace" (list $notEnabled $absent) "pod" (list $optedIn $absent)) }}
{{- end }}
{{- $entries = append $entries (dict "name" "rev.namespace" "namespace" (list $enabled $ours) "pod" (list $notOut $absent)) }}
{{- $entries = append $entries (dict "name" "rev.object" "namespace" (list $notEnabled $ours) "pod" (list $optedIn $absent)) }}
{{- $entries = append $entries (dict "name" "pod-rev.namespace" "namespace" (list $enabled) "pod" (list $notOut $ours)) }}
{{- $entries = append $entries (dict "name" "pod-rev.object" "namespace" (list $notEnabled) "pod" (list $optedIn $ours)) }}
{{- toJson $entries }}
{{- end }}
