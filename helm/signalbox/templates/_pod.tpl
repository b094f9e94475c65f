{{/* Pieces of the pod. */}}

{{/* Sidecars of an Envoy elsewhere carry no streams but access logs, which never end. */}}
{{- define "signalbox.drainSeconds" -}}
{{- if eq .Values.mode "attach" -}}{{- add .Values.drain.settleSeconds 5 -}}{{- else -}}{{- .Values.drain.seconds -}}{{- end -}}
{{- end -}}

{{- define "signalbox.sidecarImage" -}}
{{- include "signalbox.image" (list .Values.image .Chart.AppVersion) -}}
{{- end -}}

{{- define "signalbox.sharedMounts" -}}
- {name: run, mountPath: /run/signalbox}
- {name: keys, mountPath: /etc/signalbox/keys, readOnly: true}
{{- if .Values.tls.existingSecret }}
- {name: tls, mountPath: /etc/signalbox/tls, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "signalbox.bundleMount" -}}
{{- $name := index . 0 -}}{{- $bundle := index . 1 -}}
- name: bundle-{{ $name }}
  mountPath: /var/lib/signalbox/bundles/{{ $name }}
  readOnly: true
  {{- with (dig "pvc" "subPath" "" $bundle) }}
  subPath: {{ . | quote }}
  {{- end }}
{{- end -}}

{{- define "signalbox.bundleVolume" -}}
{{- $name := index . 0 -}}{{- $bundle := index . 1 -}}
- name: bundle-{{ $name }}
{{- if $bundle.pvc }}
  persistentVolumeClaim: {claimName: {{ $bundle.pvc.claimName | quote }}, readOnly: true}
{{- else if dig "image" "asVolume" false $bundle }}
  image: {reference: {{ $bundle.image.reference | quote }}, pullPolicy: IfNotPresent}
{{- else }}
  emptyDir: {sizeLimit: {{ default "4Gi" $bundle.sizeLimit | quote }}}
{{- end }}
{{- end -}}

{{/* The container that fills a bundle's folder before the sidecar starts; nothing for one that is mounted. */}}
{{- define "signalbox.bundleContainer" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}{{- $bundle := index . 2 -}}
{{- $copied := and $bundle.image (not $bundle.image.asVolume) -}}
{{- if or $bundle.download $copied -}}
- name: bundle-{{ $name }}
  {{- if $copied }}
  image: {{ $bundle.image.reference | quote }}
  command: [cp, -R, {{ printf "%s/." (default "/bundle" $bundle.image.path) | quote }}, /bundle-target/]
  {{- else }}
  image: {{ include "signalbox.sidecarImage" $root | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [models, fetch, {{ $bundle.download.url | quote }}, --sha256, {{ $bundle.download.sha256 | quote }}, --out, /bundle-target, --quiet]
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.securityContext | nindent 4 }}
  resources:
    {{- toYaml (default (dict "requests" (dict "cpu" "100m" "memory" "128Mi") "limits" (dict "memory" "512Mi")) $bundle.resources) | nindent 4 }}
  volumeMounts:
    - {name: bundle-{{ $name }}, mountPath: /bundle-target}
{{- end -}}
{{- end -}}

{{- define "signalbox.sidecarContainer" -}}
- name: sidecar
  image: {{ include "signalbox.sidecarImage" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  # Always: it starts before Envoy, is restarted like any container, and is stopped after Envoy has ended.
  restartPolicy: Always
  args:
    - serve
    - --policy=/etc/signalbox/policy/policy.yaml
    - --run-dir=/run/signalbox
    - --workers={{ .Values.sidecar.workers }}
    - --api={{ include "signalbox.address" (list .Values.listenAddress .Values.containerPorts.api) }}
    - --listen={{ include "signalbox.address" (list .Values.listenAddress .Values.containerPorts.gateway) }}
    - --envoy-memory=$(ENVOY_MEMORY_BYTES)
    {{- if eq .Values.mode "attach" }}
    - --front
    {{- end }}
    {{- with .Values.sidecar.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    - name: ENVOY_MEMORY_BYTES
      valueFrom:
        resourceFieldRef: {containerName: envoy, resource: limits.memory}
    {{- with .Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: api, containerPort: {{ .Values.containerPorts.api }}, protocol: TCP}
  # Envoy is started once this holds: its configuration is written, and a worker can decide.
  startupProbe:
    httpGet: {path: /readyz, port: api}
    {{- toYaml .Values.probes.startup | nindent 4 }}
  readinessProbe:
    httpGet: {path: /readyz, port: api}
    {{- toYaml .Values.probes.readiness | nindent 4 }}
  livenessProbe:
    httpGet: {path: /healthz, port: api}
    {{- toYaml .Values.probes.liveness | nindent 4 }}
    terminationGracePeriodSeconds: 10
  lifecycle:
    preStop:
      exec:
        command: [signalbox, drain, --run-dir=/run/signalbox, --seconds={{ include "signalbox.drainSeconds" . }}, --settle={{ .Values.drain.settleSeconds }}]
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  resources:
    {{- toYaml .Values.sidecar.resources | nindent 4 }}
  volumeMounts:
    # The directory, never one file of it: a file mounted alone is not updated.
    - {name: policy, mountPath: /etc/signalbox/policy, readOnly: true}
    {{- include "signalbox.sharedMounts" . | nindent 4 }}
    {{- if .Values.redis.existingSecret }}
    - {name: redis, mountPath: /etc/signalbox/redis, readOnly: true}
    {{- end }}
    - {name: tmp, mountPath: /tmp}
    {{- range $name, $bundle := .Values.bundles }}
    {{- include "signalbox.bundleMount" (list $name $bundle) | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "signalbox.envoyContainer" -}}
- name: envoy
  image: {{ include "signalbox.image" (list .Values.envoy.image "") | quote }}
  imagePullPolicy: {{ .Values.envoy.image.pullPolicy }}
  command: [{{ .Values.envoy.command | quote }}]
  args:
    - --config-path
    - /run/signalbox/bootstrap.yaml
    - --concurrency
    - {{ .Values.envoy.concurrency | quote }}
    - --log-level
    - {{ .Values.envoy.logLevel }}
    - --component-log-level
    - misc:error
    - --disable-hot-restart
    {{- with .Values.envoy.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: gateway, containerPort: {{ .Values.containerPorts.gateway }}, protocol: TCP}
  startupProbe:
    httpGet: {path: /live, port: gateway, scheme: {{ include "signalbox.scheme" . }}}
    {{- toYaml .Values.probes.startup | nindent 4 }}
  # Ready: Envoy listens, does not drain, and a worker passes its health check.
  readinessProbe:
    httpGet: {path: /ready, port: gateway, scheme: {{ include "signalbox.scheme" . }}}
    {{- toYaml .Values.probes.readiness | nindent 4 }}
  livenessProbe:
    httpGet: {path: /live, port: gateway, scheme: {{ include "signalbox.scheme" . }}}
    {{- toYaml .Values.probes.liveness | nindent 4 }}
  lifecycle:
    preStop:
      # Envoy ends at once when it is told to. This answers when the sidecar's own hook has drained it.
      httpGet: {path: /drained, port: {{ .Values.containerPorts.api }}}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  resources:
    {{- toYaml .Values.envoy.resources | nindent 4 }}
  volumeMounts:
    {{- include "signalbox.sharedMounts" . | nindent 4 }}
{{- end -}}

{{- define "signalbox.address" -}}
{{- $host := index . 0 -}}
{{- printf "%s:%v" (ternary (printf "[%s]" $host) $host (contains ":" $host)) (index . 1) -}}
{{- end -}}

{{- define "signalbox.spread" -}}
{{- if .Values.topologySpreadConstraints }}
{{- toYaml .Values.topologySpreadConstraints }}
{{- else }}
{{- range .Values.spreadOver }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "signalbox.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end -}}
