{{- define "motet.accounts" -}}
{{- default (.Files.Get "files/accounts.conf") .Values.nats.accounts -}}
{{- end -}}

{{- /* The keys of the Secret of users: every variable that the accounts name, and the routes'. */ -}}
{{- define "motet.natsKeys" -}}
{{- $keys := regexFindAll "MOTET_NATS_PASSWORD_[A-Z0-9_]+" (include "motet.accounts" .) -1 -}}
{{- toYaml (append $keys "MOTET_NATS_PASSWORD_ROUTES" | uniq | sortAlpha) -}}
{{- end -}}

{{- define "motet.natsHosts" -}}
{{- $name := include "motet.name" (dict "root" . "component" "nats") -}}
{{- $hosts := list -}}
{{- range $number := until (int .Values.nats.replicas) -}}
{{- $hosts = append $hosts (printf "%s-%d.%s-headless" $name $number $name) -}}
{{- end -}}
{{- toYaml $hosts -}}
{{- end -}}

{{- /* Fails where an agent has no user. */ -}}
{{- define "motet.natsKnows" -}}
{{- $keys := include "motet.natsKeys" . | fromYamlArray -}}
{{- range $name, $_ := include "motet.agents" . | fromYaml -}}
{{- $user := include "motet.natsUser" (dict "root" $ "user" $name) -}}
{{- if not (has (include "motet.passwordKey" $user) $keys) -}}
{{- fail (printf "NATS knows no user %q: set nats.accounts to what `motet nats users --auth password` prints, with the agent's skills (--agent %s.SKILL) and the namespace." $user $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "motet.natsConfig" -}}
server_name: $POD_NAME
pid_file: /run/nats/nats.pid
# How a server of several sends its clients to the others before it stops.
lame_duck_grace_period: 5s
lame_duck_duration: 30s

include nats.conf
{{- if .Values.nats.tls.enabled }}

tls {
  cert_file: /etc/nats-tls/tls.crt
  key_file: /etc/nats-tls/tls.key
  timeout: 5
}
{{- end }}
{{- if gt (int .Values.nats.replicas) 1 }}

cluster {
  name: {{ include "motet.fullname" . }}
  port: 6222
  # Addresses of pods change, and are in no certificate: clients keep to the Service's name.
  no_advertise: true
  authorization {
    user: routes
    password: $MOTET_NATS_PASSWORD_ROUTES
  }
  routes: [
    {{- range $number := until (int .Values.nats.replicas) }}
    $NATS_ROUTE_{{ $number }}
    {{- end }}
  ]
}
{{- end }}
{{- end -}}

{{- /* Fails where the streams, each as large as it may be, would take more than nine tenths of a
server's volume. */ -}}
{{- define "motet.natsFits" -}}
{{- $size := .Values.nats.persistence.size -}}
{{- $store := div (mul (include "motet.mebi" $size) 9) 10 -}}
{{- $each := div (get .Values.settings "MOTET_STREAM_MAX_BYTES" | default "1073741824" | int64) 1048576 -}}
{{- $streams := int64 (.Files.Get "files/mesh.yaml" | fromYaml).streams -}}
{{- if lt $store (mul $streams $each) -}}
{{- fail (printf "nats.persistence.size is %s, too little for %d streams of up to %d MiB: make it at least %dGi, or settings.MOTET_STREAM_MAX_BYTES smaller." $size $streams $each (add 1 (div (mul $streams $each 10) 9216))) -}}
{{- end -}}
{{- end -}}

{{- /* What stands before the names of streams: as `Topology.stream` says. */ -}}
{{- define "motet.streamPrefix" -}}
{{- $namespace := default "motet" .Values.settings.MOTET_NAMESPACE -}}
{{- if ne $namespace "motet" }}{{ $namespace | upper }}_{{ end -}}
{{- end -}}

{{- /* Where KEDA asks how much waits: host and port. It puts a server's name before the host. */ -}}
{{- define "motet.natsMonitoring" -}}
{{- if .Values.nats.enabled -}}
{{ include "motet.name" (dict "root" . "component" "nats") }}-headless.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:8222
{{- else -}}
{{- required "autoscaling.mode is keda and nats.enabled false, so nats.monitoring must say where the server's monitoring port is, such as nats-headless.bus.svc.cluster.local:8222." .Values.nats.monitoring -}}
{{- end -}}
{{- end -}}

{{- /* Fails where the number of servers is changed over the volumes of another number. Streams of
a lone server are none of a cluster's: 30 seconds after it has joined one, it deletes them. */ -}}
{{- define "motet.natsKeeps" -}}
{{- $name := include "motet.name" (dict "root" . "component" "nats") -}}
{{- $first := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (printf "data-%s-0" $name) -}}
{{- $second := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (printf "data-%s-1" $name) -}}
{{- $wanted := int .Values.nats.replicas -}}
{{- if and $first (ne (empty $second) (eq $wanted 1)) -}}
{{- fail (printf "nats.replicas is %d, but the volumes here are those of %s: the streams on them would be lost. Back the streams up, uninstall, delete the claims data-%s-*, install with provision.enabled=false, and restore them, as docs/how-to/upgrade.md says; or keep the number." $wanted (ternary "a single server" "a cluster" (empty $second)) $name) -}}
{{- end -}}
{{- end -}}
