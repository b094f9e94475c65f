{{/* For an Envoy that is somebody else's. */}}

{{/* Names of request headers that the policy's decisions look at, as a JSON list; what signalbox.decide.headers finds. */}}
{{- define "signalbox.wantedHeaders" -}}
{{- $policy := include "signalbox.policy" . | fromYaml -}}
{{- $names := list "x-model-affinity" -}}
{{- $sections := list $policy -}}
{{- range (default dict $policy.routers) -}}{{- $sections = append $sections . -}}{{- end -}}
{{- range $sections -}}
{{- $names = concat $names (dig "privacy" "local_only" "headers" dict . | keys) -}}
{{- range (default list .rules) -}}{{- $names = concat $names (dig "when" "headers" dict . | keys) -}}{{- end -}}
{{- with (dig "engine" "dial" "" .) -}}{{- $names = append $names . -}}{{- end -}}
{{- with (dig "goals" "latency_sensitive" "header" "" .) -}}{{- $names = append $names . -}}{{- end -}}
{{- $names = concat $names (dig "goals" "latency_sensitive" "when" "headers" dict . | keys) -}}
{{- with .affinity -}}
{{- if ne (default "strict" .mode) "off" -}}
{{- $names = concat $names (default list .headers) (default list .tenant_headers) -}}
{{- end -}}
{{- end -}}
{{- with (dig "budget" "header" "" .) -}}{{- $names = append $names . -}}{{- end -}}
{{- end -}}
{{- $credentials := list "authorization" "proxy-authorization" "x-api-key" "api-key" "cookie" "openai-organization" "openai-project" -}}
{{- $kept := list -}}
{{- range ($names | uniq | sortAlpha) -}}{{- if not (has . $credentials) -}}{{- $kept = append $kept . -}}{{- end -}}{{- end -}}
{{- toJson $kept -}}
{{- end -}}

{{- define "signalbox.attributes" -}}
{{- $attributes := list "request.id" "request.path" -}}
{{- range (include "signalbox.wantedHeaders" . | fromJsonArray) -}}
{{- $attributes = append $attributes (printf "request.headers['%s']" .) -}}
{{- end -}}
{{- toJson $attributes -}}
{{- end -}}

{{/*
files/attach.json with the name of a cluster of that Envoy, the service's host, and what the policy asks for. Takes the root,
the cluster's name and the host.
*/}}
{{- define "signalbox.attachPieces" -}}
{{- $root := index . 0 -}}
{{- $pieces := $root.Files.Get "files/attach.json" | replace "SIDECARS" (index . 1) | replace "HOST" (index . 2) | fromJson -}}
{{- $filter := $pieces.ext_proc.typed_config -}}
{{- $_ := set $filter "request_attributes" (include "signalbox.attributes" $root | fromJsonArray) -}}
{{- $_ := set $filter "message_timeout" (printf "%d.%03ds" (div $root.Values.attach.decisionMilliseconds 1000) (mod $root.Values.attach.decisionMilliseconds 1000)) -}}
{{- with (include "signalbox.policy" $root | fromYaml | dig "gateway" "max_body_bytes" "") -}}
{{- $_ := set $pieces.buffer.typed_config "max_request_bytes" (int .) -}}
{{- end -}}
{{- toJson $pieces -}}
{{- end -}}
