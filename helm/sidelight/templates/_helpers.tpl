{{/* The revision's name; the first release's is `default`. */}}
{{- define "sidelight.revision" -}}
{{- .Values.revision | default "default" -}}
{{- end }}

{{/* The name of everything that belongs to the injector. */}}
{{- define "sidelight.injector" -}}
sidelight-injector{{ with .Values.revision }}-{{ . }}{{ end }}
{{- end }}

{{/* The name of objects that do not belong to the injector. */}}
{{- define "sidelight.name" -}}
sidelight{{ with .Values.revision }}-{{ . }}{{ end }}
{{- end }}

{{/* The webhook configuration's name: webhooks run in the order of their names, and this one runs before those of meshes. */}}
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

{{/* The injector's image, which differs from the sidecar's. */}}
{{- define "sidelight.injectorImage" -}}
{{- .Values.injector.image | default (printf "%s-injector:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion)) -}}
{{- end }}

{{/* The labels by which the injector's pods are selected. */}}
{{- define "sidelight.selector" -}}
{{- toYaml (dict "app.kubernetes.io/name" "sidelight-injector" "sidelight.dev/rev" (include "sidelight.revision" .)) -}}
{{- end }}

{{/* Labels of an object. Call with (dict "context" . "component" NAME "more" LABELS_OF_THE_VALUES "fixed" LABELS).
     They are one map, so that no key is rendered twice: what selectors rely on wins over `more`, `more` over
     commonLabels, and those over the labels that only describe. */}}
{{- define "sidelight.labelsOf" -}}
{{- $context := .context -}}
{{- $fixed := dict "app.kubernetes.io/name" (.component | default "sidelight") "sidelight.dev/rev" (include "sidelight.revision" $context) -}}
{{- $describe := dict
      "app.kubernetes.io/instance" $context.Release.Name
      "app.kubernetes.io/version" $context.Chart.AppVersion
      "app.kubernetes.io/part-of" "sidelight"
      "app.kubernetes.io/managed-by" $context.Release.Service
      "helm.sh/chart" (printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_") -}}
{{- toYaml (merge (dict) (.fixed | default dict) $fixed (.more | default dict) ($context.Values.commonLabels | default dict) $describe) -}}
{{- end }}

{{/* Labels of an object that does not belong to the injector. */}}
{{- define "sidelight.labels" -}}
{{- include "sidelight.labelsOf" (dict "context" .) -}}
{{- end }}

{{/* Labels of the injector's objects. */}}
{{- define "sidelight.injectorLabels" -}}
{{- include "sidelight.labelsOf" (dict "context" . "component" "sidelight-injector") -}}
{{- end }}

{{/* Fills in what the values leave out or set to null, before anything is rendered: an empty list or map, or the
     chart's default. Each template begins with it; the second time it changes nothing. */}}
{{- define "sidelight.complete" -}}
{{- $_ := include "sidelight.fill" (dict "into" .Values "from" (include "sidelight.defaults" . | fromJson)) -}}
{{- end }}

{{- define "sidelight.fill" -}}
{{- $into := .into -}}
{{- range $key, $default := .from -}}
{{- $held := index $into $key -}}
{{- if kindIs "invalid" $held -}}
{{- $_ := set $into $key (deepCopy $default) -}}
{{- else if and (kindIs "map" $default) (kindIs "map" $held) -}}
{{- $_ := include "sidelight.fill" (dict "into" $held "from" $default) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether kinds of an API group are rendered: the cluster has them, or they are forced. Call with
     (dict "context" . "kind" "monitoring" "api" "monitoring.coreos.com/v1/PodMonitor"). */}}
{{- define "sidelight.has" -}}
{{- if or (has .kind .context.Values.forceKinds) (.context.Capabilities.APIVersions.Has .api) -}}yes{{- end -}}
{{- end }}

{{/* The same for kinds that the release cannot work without: fails with an explanation. */}}
{{- define "sidelight.require" -}}
{{- if not (include "sidelight.has" .) -}}
{{- fail (printf "%s needs %s, which this cluster does not have (or helm cannot ask it, as in `helm template` and Argo CD). Install it first, choose another mode, or set forceKinds={%s} to render it all the same." .wanted .api .kind) -}}
{{- end -}}
{{- end }}

{{/* Namespaces that are never injected. */}}
{{- define "sidelight.excluded" -}}
{{- toJson (append .Values.injection.excludeNamespaces .Release.Namespace | uniq | sortAlpha) -}}
{{- end }}

{{/* The injector's configuration. The keys are those that sidelight reads. */}}
{{- define "sidelight.injectorConfig" -}}
{{- $sidecar := .Values.sidecar -}}
# written by the chart from its values; `sidelight inject --config` reads the same file
revision: {{ include "sidelight.revision" . | quote }}
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
  {{- if $sidecar.otlp.headersSecret.name }}
  headers_secret: {{ toJson $sidecar.otlp.headersSecret }}
  {{- else if $sidecar.otlp.headers }}
  headers: {{ toJson $sidecar.otlp.headers }}
  {{- end }}
{{- end }}
tee:
  image_volume: {{ include "sidelight.imageVolume" . }}
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
  {{- if dig "otlp" "headersSecret" "name" "" $of }}
  {{- $secret := dict "name" $of.otlp.headersSecret.name "key" ($of.otlp.headersSecret.key | default "headers") }}
  {{- $_ := set $written "otlp" (set (omit $of.otlp "headersSecret") "headers_secret" $secret) }}
  {{- else if hasKey ($of.otlp | default dict) "headersSecret" }}
  {{- $_ := set $written "otlp" (omit $of.otlp "headersSecret") }}
  {{- end }}
  {{- if hasKey $of "finalScrape" }}
  {{- $_ := set $written "final_scrape" $of.finalScrape }}
  {{- end }}
  {{ $name | quote }}:
    {{- toYaml $written | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Whether pods mount the image for `tee`: `always` or `never`. */}}
{{- define "sidelight.imageVolume" -}}
{{- $wanted := .Values.sidecar.tee.imageVolume }}
{{- if ne $wanted "auto" }}
{{- $wanted }}
{{- else if semverCompare "<1.36-0" .Capabilities.KubeVersion.Version }}
{{- "never" }}
{{- else }}
{{- include "sidelight.imageVolumeOfNodes" ((lookup "v1" "Node" "" "").items | default list) }}
{{- end }}
{{- end }}

{{/* `always` if every node of a list has image volumes, because a pod with one does not start on any other. Windows
     nodes do not matter: their pods are not injected. */}}
{{- define "sidelight.imageVolumeOfNodes" -}}
{{- $with := list }}
{{- $without := list }}
{{- range . }}
{{- $info := .status.nodeInfo }}
{{- $kubelet := regexFind "[0-9]+[.][0-9]+" $info.kubeletVersion | default "0.0" }}
{{- $runtime := regexFind "[0-9]+[.][0-9]+" $info.containerRuntimeVersion | default "0.0" }}
{{- $minimum := get (dict "containerd" "2.1" "cri-o" "1.36") (regexFind "^[a-z-]+" $info.containerRuntimeVersion) }}
{{- if eq $info.operatingSystem "windows" }}
{{- else if and $minimum (semverCompare ">=1.36" $kubelet) (semverCompare (printf ">=%s" ($minimum | default "999.0")) $runtime) }}
{{- $with = append $with .metadata.name }}
{{- else }}
{{- $without = append $without .metadata.name }}
{{- end }}
{{- end }}
{{- and (gt (len $with) 0) (eq (len $without) 0) | ternary "always" "never" }}
{{- end }}

{{/* The limit of series of a sidecar in the cluster's layer. */}}
{{- define "sidelight.seriesLimit" -}}
{{- dig "metrics" "limits" "series" 5000 .Values.sidecar.defaults | int -}}
{{- end }}

{{/* Samples a scrape: sixteen a series, of which a histogram of eleven bounds has fourteen, and 5,000 for own metrics and
     for the overflow series, which come beyond the budget. */}}
{{- define "sidelight.sampleLimit" -}}
{{- .Values.podMonitor.sampleLimit | int | default (add 5000 (mul 16 (include "sidelight.seriesLimit" . | int))) -}}
{{- end }}

{{/* Security context of every container of sidelight: Pod Security "restricted". */}}
{{- define "sidelight.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: ["ALL"]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
