{{/* The revision's name; the first release's is `default`. */}}
{{- define "sidelight.revision" -}}
{{- .Values.revision | default "default" -}}
{{- end }}

{{/* The name of everything that belongs to the injector. */}}
{{- define "sidelight.injector" -}}
sidelight-injector{{ with .Values.revision }}-{{ . }}{{ end }}
{{- end }}

{{/* The name of what is not the injector's. */}}
{{- define "sidelight.name" -}}
sidelight{{ with .Values.revision }}-{{ . }}{{ end }}
{{- end }}

{{/* The webhook configuration's name: webhooks run in the order of names, and ours comes before the meshes'. */}}
{{- define "sidelight.webhook" -}}
00-{{ include "sidelight.injector" . }}
{{- end }}

{{/* The Secret with the certificate. */}}
{{- define "sidelight.secret" -}}
{{- if eq .Values.tls.mode "provided" -}}
{{- .Values.tls.provided.secretName | default (printf "%s-tls" (include "sidelight.injector" .)) -}}
{{- else -}}
{{- include "sidelight.injector" . }}-tls
{{- end -}}
{{- end }}

{{/* The image by digest, or by tag. */}}
{{- define "sidelight.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The injector's image, which is another one than the sidecar's. */}}
{{- define "sidelight.injectorImage" -}}
{{- .Values.injector.image | default (printf "%s-injector:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion)) -}}
{{- end }}

{{/* What the injector's pods are selected by. */}}
{{- define "sidelight.selector" -}}
app.kubernetes.io/name: sidelight-injector
sidelight.dev/rev: {{ include "sidelight.revision" . }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "sidelight.labels" -}}
app.kubernetes.io/name: {{ .component | default "sidelight" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sidelight
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
sidelight.dev/rev: {{ include "sidelight.revision" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of the injector's objects. */}}
{{- define "sidelight.injectorLabels" -}}
{{- include "sidelight.labels" (merge (dict "component" "sidelight-injector") .) -}}
{{- end }}

{{/* Whether kinds of an API group are rendered: the cluster has them, or they are forced. Call with
     (dict "context" . "kind" "monitoring" "api" "monitoring.coreos.com/v1/PodMonitor"). */}}
{{- define "sidelight.has" -}}
{{- if or (has .kind .context.Values.forceKinds) (.context.Capabilities.APIVersions.Has .api) -}}yes{{- end -}}
{{- end }}

{{/* The same, where the release makes no sense without: ends with an explanation. */}}
{{- define "sidelight.require" -}}
{{- if not (include "sidelight.has" .) -}}
{{- fail (printf "%s needs %s, which this cluster does not have (or helm cannot ask it, as in `helm template` and Argo CD). Install it first, choose another mode, or set forceKinds={%s} to render it all the same." .wanted .api .kind) -}}
{{- end -}}
{{- end }}

{{/* Namespaces left alone. */}}
{{- define "sidelight.excluded" -}}
{{- toJson (append .Values.injection.excludeNamespaces .Release.Namespace | uniq | sortAlpha) -}}
{{- end }}

{{/* The injector's configuration. Keys as sidelight reads them. */}}
{{- define "sidelight.injectorConfig" -}}
{{- $sidecar := .Values.sidecar -}}
# written by the chart from its values; `sidelight inject --config` reads the same file
revision: {{ include "sidelight.revision" . }}
image: {{ $sidecar.image | default (include "sidelight.image" .) | quote }}
image_pull_policy: {{ .Values.image.pullPolicy }}
{{- with .Values.image.pullSecrets }}
image_pull_secrets: {{ toJson . }}
{{- end }}
mode: {{ $sidecar.mode }}
port: {{ $sidecar.port }}
platform: {{ $sidecar.platform }}
mesh: {{ $sidecar.mesh }}
{{- if $sidecar.otlp.endpoint }}
otlp:
  endpoint: {{ $sidecar.otlp.endpoint | quote }}
  protocol: {{ $sidecar.otlp.protocol }}
  {{- with $sidecar.otlp.headers }}
  headers: {{ toJson . }}
  {{- end }}
{{- end }}
{{- with $sidecar.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $sidecar.volumeSizeLimit }}
volume_size_limit: {{ . }}
{{- end }}
metrics:
  {{- with $sidecar.metrics.prefix }}
  prefix: {{ . | quote }}
  {{- end }}
  groups: {{ toJson $sidecar.metrics.groups }}
{{- range $key, $probe := dict "startup_probe" $sidecar.startupProbe "liveness_probe" $sidecar.livenessProbe }}
{{ $key }}:
  period_seconds: {{ $probe.periodSeconds }}
  timeout_seconds: {{ $probe.timeoutSeconds }}
  failure_threshold: {{ $probe.failureThreshold }}
{{- end }}
final_scrape:
  jobs: {{ $sidecar.finalScrape.jobs }}
  others: {{ $sidecar.finalScrape.others }}
  scrapers: {{ $sidecar.finalScrape.scrapers }}
{{- with $sidecar.allow }}
allow: {{ toJson . }}
{{- end }}
{{- with $sidecar.entrypoints }}
entrypoints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $sidecar.defaults }}
defaults:
  {{- toYaml . | nindent 2 }}
{{- end }}
exclude_namespaces: {{ include "sidelight.excluded" . }}
{{- with $sidecar.namespaces }}
namespaces:
  {{- range $name, $of := . }}
  {{- $written := omit $of "finalScrape" }}
  {{- if hasKey $of "finalScrape" }}
  {{- $_ := set $written "final_scrape" $of.finalScrape }}
  {{- end }}
  {{ $name | quote }}:
    {{- toYaml $written | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Series that a sidecar may have, as the cluster's layer says it. */}}
{{- define "sidelight.seriesLimit" -}}
{{- dig "metrics" "limits" "series" 5000 .Values.sidecar.defaults | int -}}
{{- end }}

{{/* Samples a scrape: sixteen a series, of which a histogram of eleven bounds has fourteen, and 5,000 for own metrics and
     for the overflow series, which come beyond the budget. */}}
{{- define "sidelight.sampleLimit" -}}
{{- .Values.podMonitor.sampleLimit | int | default (add 5000 (mul 16 (include "sidelight.seriesLimit" . | int))) -}}
{{- end }}

{{/* Security context of every container of ours: Pod Security "restricted". */}}
{{- define "sidelight.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: ["ALL"]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
