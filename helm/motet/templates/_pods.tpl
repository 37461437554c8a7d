{{- /* What all pods have in common. Each takes a dict: root, component, part (its values). */ -}}

{{- /* A pod's metadata; `annotations` and `labels` may be given. */ -}}
{{- define "motet.podMetadata" -}}
labels:
  {{- include "motet.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: motet
  {{- with mergeOverwrite (dict) .root.Values.commonLabels .root.Values.podLabels (default (dict) .part.podLabels) (default (dict) .labels) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations .root.Values.podAnnotations (default (dict) .part.podAnnotations) (default (dict) .annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* A pod's spec but for containers and volumes. user: its numeric user and group. */ -}}
{{- define "motet.podSpec" -}}
serviceAccountName: {{ include "motet.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with coalesce .part.priorityClassName .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with coalesce .part.nodeSelector .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with coalesce .part.tolerations .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with coalesce .part.affinity .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and .root.Values.topologySpread.enabled .spread }}
topologySpreadConstraints:
  {{- range .root.Values.topologySpread.topologyKeys }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.root.Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "motet.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "motet.containerSecurity" }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "motet.resources" }}
{{- with .part.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The spec of a volume claim: root, persistence. */ -}}
{{- define "motet.claim" -}}
accessModes: [ReadWriteOnce]
{{- with coalesce .persistence.storageClass .root.Values.global.storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .persistence.size }}
{{- end -}}

{{- /* Fails where a server's volumes are to have another size than those that it has: Kubernetes lets
nobody change that in a StatefulSet. root, component, part. */ -}}
{{- define "motet.sizeKeeps" -}}
{{- $name := include "motet.name" . -}}
{{- $wanted := .part.persistence.size -}}
{{- range dig "spec" "volumeClaimTemplates" list (lookup "apps/v1" "StatefulSet" .root.Release.Namespace $name) -}}
{{- $size := .spec.resources.requests.storage -}}
{{- if ne (include "motet.mebi" $size) (include "motet.mebi" $wanted) -}}
{{- fail (printf "%s.persistence.size is %s, but the volumes here were made with %s: enlarge the claims data-%s-*, where their storage class lets you, remove the StatefulSet without its pods (kubectl delete statefulset %s --cascade=orphan), and upgrade again." $.component $wanted $size $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* A size in MiB. */ -}}
{{- define "motet.mebi" -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) (regexFind "[A-Za-z]+$" .)) -}}
{{- end -}}

{{- /* Probes by HTTP: a start of up to five minutes, then every ten seconds. port, live, ready. */ -}}
{{- define "motet.probes" -}}
startupProbe:
  httpGet: { path: {{ .live | quote }}, port: {{ .port }} }
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 150
livenessProbe:
  httpGet: { path: {{ .live | quote }}, port: {{ .port }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: {{ .ready | quote }}, port: {{ .port }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}
