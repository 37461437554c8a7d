{{- /* What Motet's own processes are told: environment and the volumes that belong to it. */ -}}

{{- define "motet.natsUrl" -}}
{{- if .Values.nats.enabled -}}
{{- ternary "tls" "nats" .Values.nats.tls.enabled }}://{{ include "motet.name" (dict "root" . "component" "nats") }}:4222
{{- else -}}
{{- required "nats.enabled is false, so nats.url must say where the NATS server is, such as nats://nats.bus:4222." .Values.nats.url -}}
{{- end -}}
{{- end -}}

{{- /* The Secret with the users' passwords; empty when the external server asks for none. */ -}}
{{- define "motet.natsSecret" -}}
{{- if .Values.nats.existingSecret -}}
{{- .Values.nats.existingSecret -}}
{{- else if .Values.nats.enabled -}}
{{- include "motet.name" (dict "root" . "component" "nats") -}}
{{- end -}}
{{- end -}}

{{- /* The user of a role, and its account, as `Topology.user` says. */ -}}
{{- define "motet.natsUser" -}}
{{- $namespace := default "motet" .root.Values.settings.MOTET_NAMESPACE -}}
{{- if ne $namespace "motet" }}{{ $namespace }}-{{ end }}{{ .user -}}
{{- end -}}

{{- define "motet.natsAccount" -}}
{{- default (default "motet" .Values.settings.MOTET_NAMESPACE | upper) .Values.nats.account -}}
{{- end -}}

{{- define "motet.passwordKey" -}}
MOTET_NATS_PASSWORD_{{ . | upper | replace "-" "_" }}
{{- end -}}

{{- /* The connection to NATS: root, user. */ -}}
{{- define "motet.natsEnv" -}}
- name: MOTET_NATS_URL
  value: {{ include "motet.natsUrl" .root | quote }}
{{- with include "motet.natsSecret" .root }}
- name: MOTET_NATS_USER
  value: {{ include "motet.natsUser" $ }}
- name: MOTET_NATS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ include "motet.passwordKey" (include "motet.natsUser" $) }}
{{- end }}
{{- if .root.Values.nats.tls.enabled }}
- name: MOTET_NATS_CA
  value: /etc/motet/nats/ca.crt
{{- end }}
- name: MOTET_REPLICAS
  value: {{ .root.Values.nats.replicas | quote }}
{{- with include "motet.otlp" .root }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: http/protobuf
{{- end }}
{{- end -}}

{{- define "motet.natsMounts" -}}
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /data
{{- if .Values.nats.tls.enabled }}
- name: nats-ca
  mountPath: /etc/motet/nats
  readOnly: true
{{- end }}
{{- end -}}

{{- /* Volumes but for `data`. */ -}}
{{- define "motet.natsVolumes" -}}
- name: tmp
  emptyDir: {}
{{- if .Values.nats.tls.enabled }}
- name: nats-ca
  secret:
    secretName: {{ required "nats.tls.enabled needs nats.tls.existingSecret: a Secret with tls.crt, tls.key and ca.crt." .Values.nats.tls.existingSecret }}
    items: [{ key: ca.crt, path: ca.crt }]
{{- end }}
{{- end -}}

{{- /* Where telemetry goes; empty is nowhere. */ -}}
{{- define "motet.otlp" -}}
{{- if .Values.collector.enabled -}}
http://{{ include "motet.name" (dict "root" . "component" "collector") }}:4318
{{- else -}}
{{- .Values.collector.url -}}
{{- end -}}
{{- end -}}

{{- define "motet.qdrantUrl" -}}
{{- if .Values.qdrant.enabled -}}
http://{{ include "motet.name" (dict "root" . "component" "qdrant") }}:6333
{{- else -}}
{{- .Values.qdrant.url -}}
{{- end -}}
{{- end -}}

{{- define "motet.qdrantSecret" -}}
{{- if .Values.qdrant.existingSecret -}}
{{- .Values.qdrant.existingSecret -}}
{{- else if .Values.qdrant.enabled -}}
{{- include "motet.name" (dict "root" . "component" "qdrant") -}}
{{- end -}}
{{- end -}}

{{- define "motet.neo4jUrl" -}}
{{- if .Values.neo4j.enabled -}}
bolt://{{ include "motet.name" (dict "root" . "component" "neo4j") }}:7687
{{- else -}}
{{- .Values.neo4j.url -}}
{{- end -}}
{{- end -}}

{{- define "motet.neo4jSecret" -}}
{{- if .Values.neo4j.existingSecret -}}
{{- .Values.neo4j.existingSecret -}}
{{- else if .Values.neo4j.enabled -}}
{{- include "motet.name" (dict "root" . "component" "neo4j") -}}
{{- end -}}
{{- end -}}

{{- /* Which model: the chart's own, the one that is named, or none. */ -}}
{{- define "motet.modelEnv" -}}
{{- with .Values.model }}
{{- if and $.Values.localModel.enabled (not .url) }}
- name: MOTET_MODEL
  value: {{ default (printf "local:%s" $.Values.localModel.model) .name | quote }}
- name: MOTET_MODEL_URL
  value: http://{{ include "motet.name" (dict "root" $ "component" "model") }}:8000/v1
{{- else }}
- name: MOTET_MODEL
  value: {{ default (ternary "auto" "none" (or (ne .url "") (ne .existingSecret ""))) .name | quote }}
{{- with .url }}
- name: MOTET_MODEL_URL
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .embedding }}
- name: MOTET_EMBEDDING_MODEL
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* "true" where tasks that need a model fail, and say so. */ -}}
{{- define "motet.modelless" -}}
{{- range include "motet.modelEnv" . | fromYamlArray -}}
{{- if and (eq .name "MOTET_MODEL") (eq .value "none") -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Whether an agent keeps its own store on a volume: "true" or empty. root, component. */ -}}
{{- define "motet.embedded" -}}
{{- if and (eq .component "retriever") (not (include "motet.qdrantUrl" .root)) -}}true{{- end -}}
{{- if and (eq .component "graph") (not (include "motet.neo4jUrl" .root)) -}}true{{- end -}}
{{- end -}}

{{- define "motet.storeEnv" -}}
{{- if and (eq .component "retriever") (include "motet.qdrantUrl" .root) }}
- name: MOTET_RETRIEVER_URL
  value: {{ include "motet.qdrantUrl" .root | quote }}
{{- with include "motet.qdrantSecret" .root }}
- name: MOTET_RETRIEVER_API_KEY
  valueFrom:
    secretKeyRef: { name: {{ . }}, key: api-key }
{{- end }}
{{- with .root.Values.qdrant.collection }}
- name: MOTET_RETRIEVER_COLLECTION
  value: {{ . | quote }}
{{- end }}
{{- else if and (eq .component "graph") (include "motet.neo4jUrl" .root) }}
- name: MOTET_GRAPH_URL
  value: {{ include "motet.neo4jUrl" .root | quote }}
- name: MOTET_GRAPH_USER
  value: {{ .root.Values.neo4j.user | quote }}
- name: MOTET_GRAPH_DATABASE
  value: {{ .root.Values.neo4j.database | quote }}
{{- with include "motet.neo4jSecret" .root }}
- name: MOTET_GRAPH_PASSWORD
  valueFrom:
    secretKeyRef: { name: {{ . }}, key: password }
{{- end }}
{{- end }}
{{- end -}}

{{- /* Seconds that a process waits when it starts, since everything starts at once: as long as a
server may take by its startup probe. It lives meanwhile, and is not ready. */ -}}
{{- define "motet.startWithin" -}}900{{- end -}}

{{- /* An agent's whole environment: root, component, part. */ -}}
{{- define "motet.agentEnv" -}}
{{- include "motet.natsEnv" (dict "root" .root "user" .component) }}
- name: POD_NAME
  valueFrom:
    fieldRef: { fieldPath: metadata.name }
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ printf "service.instance.id=$(POD_NAME),k8s.namespace.name=%s,k8s.pod.name=$(POD_NAME)" .root.Release.Namespace | quote }}
- name: MOTET_TENANTS
  value: {{ join "," .root.Values.autoscaling.keda.tenants | quote }}
- name: MOTET_START_WITHIN_S
  value: {{ include "motet.startWithin" . | quote }}
- name: MOTET_HEALTH_PORT
  value: "8080"
- name: MOTET_LOG_FORMAT
  value: json
{{- if .part.usesModel }}
{{- include "motet.modelEnv" .root }}
{{- end }}
{{- include "motet.storeEnv" . }}
{{- include "motet.ownEnv" . }}
{{- end -}}

{{- /* What an operator has set, which goes before the chart's own: root, part. */ -}}
{{- define "motet.ownEnv" -}}
{{- range $name, $value := mergeOverwrite (dict) .root.Values.settings (default (dict) .part.settings) }}
{{- if regexMatch "(PASSWORD|API_KEY)$" $name }}
{{- fail (printf "%s is a secret, and settings are readable to all: give it in extraEnv, by valueFrom." $name) }}
{{- end }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with concat .root.Values.extraEnv (default list .part.extraEnv) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* An environment without its doubles, which an API server refuses: the last of a name holds. */ -}}
{{- define "motet.unique" -}}
{{- $entries := fromYamlArray . -}}
{{- $last := dict -}}
{{- range $place, $entry := $entries -}}
{{- $_ := set $last $entry.name $place -}}
{{- end -}}
{{- range $place, $entry := $entries }}
{{- if eq $place (get $last $entry.name) }}
- {{ toYaml $entry | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end -}}
