{{/* The policy, and what the chart reads out of it. */}}

{{/*
Text of the policy as it is mounted; empty if the ConfigMap is somebody else's. A text is kept as it is, comments and all,
unless something has to be put into it.
*/}}
{{- define "signalbox.policy" -}}
{{- if not .Values.existingConfigMap -}}
{{- $text := "" -}}
{{- if kindIs "string" .Values.policy -}}
{{- $text = .Values.policy -}}
{{- else if .Values.policy -}}
{{- $text = toYaml .Values.policy -}}
{{- end -}}
{{- if not (trim $text) -}}
{{- $text = .Files.Get "files/policy.yaml" -}}
{{- end -}}
{{- $policy := fromYaml $text -}}
{{- if hasKey $policy "Error" -}}
{{- fail (printf "policy: no YAML mapping: %s" $policy.Error) -}}
{{- end -}}
{{- $more := dict -}}
{{- if .Values.tls.existingSecret -}}
{{- $files := dict "certificate" "/etc/signalbox/tls/tls.crt" "private_key" "/etc/signalbox/tls/tls.key" -}}
{{- $more = mergeOverwrite $more (dict "gateway" (dict "tls" $files)) -}}
{{- end -}}
{{- if and (eq .Values.mode "attach") (ne .Values.attach.to "envoy") -}}
{{- $more = mergeOverwrite $more (dict "gateway" (dict "mode" "cluster_header")) -}}
{{- end -}}
{{- if .Values.redis.url -}}
{{- $redis := dict "url" .Values.redis.url -}}
{{- if .Values.redis.existingSecret -}}
{{- $_ := set $redis "password_file" (printf "/etc/signalbox/redis/%s" .Values.redis.passwordKey) -}}
{{- end -}}
{{- $more = mergeOverwrite $more (dict "state" (dict "redis" $redis)) -}}
{{- end -}}
{{- if $more -}}
{{- toYaml (mergeOverwrite $policy $more) -}}
{{- else -}}
{{- trim $text -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What Envoy reads only at its start: a change of it has to replace the pods, and nothing else of a policy does. */}}
{{- define "signalbox.bootstrapHash" -}}
{{- $gateway := include "signalbox.policy" . | fromYaml | dig "gateway" dict -}}
{{- printf "%s %v" (default "priority_group" $gateway.mode) (default 128 $gateway.admission_limit) | sha256sum | trunc 12 -}}
{{- end -}}

{{- define "signalbox.mostPods" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.maxReplicas }}{{- else -}}{{ .Values.replicaCount }}{{- end -}}
{{- end -}}

{{/* What of the policy several pods without a common store would each keep for itself; empty if there is nothing. */}}
{{- define "signalbox.unshared" -}}
{{- $policy := include "signalbox.policy" . | fromYaml -}}
{{- $found := list -}}
{{- if and (gt (include "signalbox.mostPods" . | int) 1) (not (dig "state" "redis" "" $policy)) -}}
{{- range $section := list "affinity" "budget" -}}
{{- if hasKey $policy $section -}}{{- $found = append $found $section -}}{{- end -}}
{{- end -}}
{{- range $name, $router := (default dict $policy.routers) -}}
{{- range $section := list "affinity" "budget" "rollout" -}}
{{- if hasKey $router $section -}}{{- $found = append $found (printf "routers.%s.%s" $name $section) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join ", " $found -}}
{{- end -}}

{{/*
Where the policy's servers are, as a JSON list of {host, port, namespace, inside}: providers, Prometheus, Redis, push gateway,
price lists. namespace: of a service in the cluster. inside: in the cluster, or at a private address.
*/}}
{{- define "signalbox.servers" -}}
{{- $policy := include "signalbox.policy" . | fromYaml -}}
{{- $urls := list -}}
{{- if eq .Values.mode "gateway" -}}
{{- range (default dict $policy.providers) -}}{{- $urls = append $urls .endpoint -}}{{- end -}}
{{- end -}}
{{- range (default dict $policy.engines) -}}{{- with .endpoint -}}{{- $urls = append $urls . -}}{{- end -}}{{- end -}}
{{- with (dig "prometheus" "endpoint" "" $policy) -}}{{- $urls = append $urls . -}}{{- end -}}
{{- with (dig "telemetry" "push" "url" "" $policy) -}}{{- $urls = append $urls . -}}{{- end -}}
{{- range (dig "prices" "sources" list $policy) -}}{{- $urls = append $urls .url -}}{{- end -}}
{{- with (dig "state" "redis" "url" "" $policy) -}}{{- if not (hasPrefix "unix:" .) -}}{{- $urls = append $urls . -}}{{- end -}}{{- end -}}
{{- $servers := list -}}
{{- $ports := dict "https" 443 "http" 80 "redis" 6379 "rediss" 6379 -}}
{{- $here := .Release.Namespace -}}
{{- range (uniq $urls) -}}
{{- $url := urlParse . -}}
{{- $host := regexReplaceAll ":[0-9]+$" $url.host "" | trimAll "[]" -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (index $ports $url.scheme) | int -}}
{{- $labels := splitList "." $host -}}
{{- $isAddress := or (regexMatch "^[0-9.]+$" $host) (contains ":" $host) -}}
{{- $namespace := "" -}}
{{- if not $isAddress -}}
{{- if eq (len $labels) 1 -}}{{- $namespace = $here -}}
{{- else if or (regexMatch "\\.svc(\\.cluster\\.local)?\\.?$" $host) (eq (len $labels) 2) -}}{{- $namespace = index $labels 1 -}}
{{- end -}}
{{- end -}}
{{- $servers = append $servers (dict "host" $host "port" $port "namespace" $namespace "address" $isAddress) -}}
{{- end -}}
{{- toJson $servers -}}
{{- end -}}
