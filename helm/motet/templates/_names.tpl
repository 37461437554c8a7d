{{- /* Names, labels, images. Most take a dict: root (the top context), component (a name), and part
(the component's values). */ -}}

{{- define "motet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The name of a component's objects: an agent's name may have `_`, an object's may not. */ -}}
{{- define "motet.name" -}}
{{- printf "%s-%s" (include "motet.fullname" .root) (.component | replace "_" "-") | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "motet.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | replace "_" "-" | quote }}
{{- end -}}

{{- define "motet.labels" -}}
{{ include "motet.selector" . }}
app.kubernetes.io/part-of: motet
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The metadata of an object; `annotations` and `suffix` (of its name) may be given. */ -}}
{{- define "motet.metadata" -}}
name: {{ include "motet.name" . }}{{ .suffix }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "motet.labels" . | nindent 2 }}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations (default (dict) .annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* An image's reference: root, image, own (whether it is one of Motet's). */ -}}
{{- define "motet.image" -}}
{{- $own := ternary .root.Values.image (dict) (default false .own) -}}
{{- $registry := coalesce .root.Values.global.imageRegistry .image.registry $own.registry -}}
{{- $tag := coalesce .image.tag $own.tag (ternary .root.Chart.AppVersion "" (default false .own)) -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- .image.repository -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- /* Whom the agents are, services and extraAgents together: a YAML map by name. */ -}}
{{- define "motet.agents" -}}
{{- $agents := dict -}}
{{- range $name, $part := .Values.services -}}
{{- if $part.enabled -}}
{{- $known := index ($.Files.Get "files/mesh.yaml" | fromYaml).agents $name -}}
{{- $_ := set $agents $name (mergeOverwrite (deepCopy $known) (deepCopy $part) (dict "own" true)) -}}
{{- end -}}
{{- end -}}
{{- range $name, $part := .Values.extraAgents -}}
{{- if hasKey $.Values.services $name -}}
{{- fail (printf "extraAgents.%s has the name of one of Motet's services: give it another." $name) -}}
{{- end -}}
{{- if dig "enabled" true $part -}}
{{- $_ := set $agents $name (mergeOverwrite (dict "own" false "skills" list "usesModel" false) (deepCopy $part)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $agents -}}
{{- end -}}

{{- define "motet.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- $annotations := mergeOverwrite (dict) .root.Values.serviceAccount.annotations (dig "serviceAccount" "annotations" (dict) .part) }}
  {{- include "motet.metadata" (mergeOverwrite (dict "annotations" $annotations) .) | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{- define "motet.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "motet.metadata" . | nindent 2 }}
spec:
  # One at a time: a single replica does not keep a node from being drained.
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "motet.selector" . | nindent 6 }}
{{- end -}}
