{{- /* Parts of network policies. */ -}}

{{- /* A peer: pods of a component of this release. root, component. */ -}}
{{- define "motet.peer" -}}
- podSelector:
    matchLabels:
      {{- include "motet.selector" . | nindent 6 }}
{{- end -}}

{{- /* The port that an address names, or that its scheme has. */ -}}
{{- define "motet.portOf" -}}
{{- $parts := urlParse (ternary . (printf "tcp://%s" .) (contains "://" .)) -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $parts.host) -}}
{{- default (get (dict "https" "443" "http" "80" "nats" "4222" "tls" "4222" "bolt" "7687" "neo4j" "7687" "bolt+s" "7687" "neo4j+s" "7687") $parts.scheme | default "443") $port -}}
{{- end -}}

{{- /* A way out to an address outside of this release, wherever that is; its port only. */ -}}
{{- define "motet.wayOut" -}}
- ports:
    - { protocol: TCP, port: {{ include "motet.portOf" . }} }
{{- end -}}

{{- /* Rules of what every process of Motet needs: NATS and the collector. */ -}}
{{- define "motet.commonEgress" -}}
{{- if .Values.nats.enabled }}
- to:
    {{- include "motet.peer" (dict "root" . "component" "nats") | nindent 4 }}
  ports:
    - { protocol: TCP, port: 4222 }
{{- else }}
{{- range splitList "," .Values.nats.url }}
{{ include "motet.wayOut" (trim .) }}
{{- end }}
{{- end }}
{{- if .Values.collector.enabled }}
- to:
    {{- include "motet.peer" (dict "root" . "component" "collector") | nindent 4 }}
  ports:
    - { protocol: TCP, port: 4318 }
{{- else if .Values.collector.url }}
{{ include "motet.wayOut" .Values.collector.url }}
{{- end }}
{{- end -}}

{{- /* What a service that asks models may reach. */ -}}
{{- define "motet.modelEgress" -}}
{{- if .Values.localModel.enabled }}
- to:
    {{- include "motet.peer" (dict "root" . "component" "model") | nindent 4 }}
  ports:
    - { protocol: TCP, port: 8000 }
{{- end }}
{{- with .Values.model.url }}
{{ include "motet.wayOut" . }}
{{- end }}
{{- if .Values.networkPolicy.modelEgress }}
{{ toYaml .Values.networkPolicy.modelEgress }}
{{- else if .Values.model.existingSecret }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
    - ipBlock:
        cidr: ::/0
        except: ["fc00::/7", "fe80::/10"]
  ports:
    - { protocol: TCP, port: 443 }
{{- end }}
{{- end -}}

{{- /* What an agent reaches beside NATS: its store, models, what its values say. */ -}}
{{- define "motet.agentEgress" -}}
{{- if and (eq .component "retriever") (include "motet.qdrantUrl" .root) }}
{{- if .root.Values.qdrant.enabled }}
- to:
    {{- include "motet.peer" (dict "root" .root "component" "qdrant") | nindent 4 }}
  ports:
    - { protocol: TCP, port: 6333 }
    - { protocol: TCP, port: 6334 }
{{- else }}
{{ include "motet.wayOut" .root.Values.qdrant.url }}
{{- end }}
{{- end }}
{{- if and (eq .component "graph") (include "motet.neo4jUrl" .root) }}
{{- if .root.Values.neo4j.enabled }}
- to:
    {{- include "motet.peer" (dict "root" .root "component" "neo4j") | nindent 4 }}
  ports:
    - { protocol: TCP, port: 7687 }
{{- else }}
{{ include "motet.wayOut" .root.Values.neo4j.url }}
{{- end }}
{{- end }}
{{- if .part.usesModel }}
{{- include "motet.modelEgress" .root }}
{{- end }}
{{- with .part.egress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* A policy: root, component, and rules as YAML in ingress and egress, either of them may be
empty. Everything that it does not name is refused by the one that refuses all. */ -}}
{{- define "motet.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "motet.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "motet.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with default "" .ingress | trim }}
  ingress:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with default "" .egress | trim }}
  egress:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- /* A rule that lets a component in. root, component, ports. */ -}}
{{- define "motet.from" -}}
- from:
    {{- include "motet.peer" . | nindent 4 }}
  ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end -}}

{{- /* A rule that lets in whatever speaks to NATS. Takes ports. */ -}}
{{- define "motet.fromClients" -}}
- from:
    - podSelector:
        matchLabels:
          motet-client: "true"
  ports:
    {{- range . }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end -}}

{{- /* A rule that lets peers in, if there are any. peers, ports. */ -}}
{{- define "motet.fromPeers" -}}
{{- if .peers -}}
- from:
    {{- toYaml .peers | nindent 4 }}
  ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end -}}
{{- end -}}

{{- define "motet.natsRoutes" -}}
{{- if gt (int .Values.nats.replicas) 1 -}}
{{- include "motet.from" (dict "root" . "component" "nats" "ports" (list 6222)) -}}
{{- end -}}
{{- end -}}

{{- define "motet.natsIngress" -}}
{{- $monitoring := .Values.networkPolicy.monitoringFrom -}}
{{- if eq .Values.autoscaling.mode "keda" -}}
{{- $keda := dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .Values.autoscaling.keda.namespace)) -}}
{{- $monitoring = append $monitoring $keda -}}
{{- end -}}
{{ include "motet.fromClients" (list 4222) }}
{{ include "motet.fromPeers" (dict "peers" .Values.networkPolicy.clientsFrom "ports" (list 4222)) }}
{{ include "motet.fromPeers" (dict "peers" $monitoring "ports" (list 8222)) }}
{{ include "motet.natsRoutes" . }}
{{- end -}}
