{{/* What a schema cannot say. Each message names the value, what was found, what is expected, and the fix. */}}

{{- define "signalbox.check" -}}
{{- $policy := include "signalbox.policy" . | fromYaml -}}
{{- if and (not .Values.existingConfigMap) (not (hasKey $policy "providers")) -}}
{{- fail "policy: found no providers; expected a whole policy, as docs/policy.md describes it. `signalbox check` says what is wrong with one" -}}
{{- end -}}
{{- include "signalbox.checkEnvoy" (list . $policy) -}}
{{- include "signalbox.checkTls" (list . $policy) -}}
{{- if eq .Values.mode "attach" -}}
{{- if .Values.tls.existingSecret -}}
{{- fail "tls.existingSecret: in mode attach clients reach the Envoy that is there already, and it speaks plain HTTP/2 with the sidecars. Leave it out, and keep others away with networkPolicy" -}}
{{- end -}}
{{- if .Values.ingress.enabled -}}
{{- fail "ingress: enabled in mode attach, where clients reach the Envoy that is there already. Leave it out" -}}
{{- end -}}
{{- if and $policy.engines (eq (int .Values.attach.decisionMilliseconds) 300) (ne .Values.attach.to "envoy") -}}
{{- fail "attach.decisionMilliseconds: 300, and the policy has engines, which may take longer. Set it to 300 and the longest deadline_ms" -}}
{{- end -}}
{{- if and .Values.existingConfigMap (ne .Values.attach.to "envoy") -}}
{{- fail "existingConfigMap: the chart cannot read which headers that policy asks for. Give the policy as a value" -}}
{{- end -}}
{{- end -}}
{{- $unshared := include "signalbox.unshared" . -}}
{{- if and $unshared (eq .Values.withoutSharedState "refuse") -}}
{{- fail (printf "replicas: up to %s pods, and the policy has %s without state.redis: each pod would keep its own, so a session changes its model and a budget is spent once in each pod. Set redis.url, or replicaCount: 1 without autoscaling, or accept it with withoutSharedState: warn" (include "signalbox.mostPods" .) $unshared) -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail (printf "autoscaling: minReplicas is %v and maxReplicas %v; expected at least as many at most" .Values.autoscaling.minReplicas .Values.autoscaling.maxReplicas) -}}
{{- end -}}
{{- if .Values.autoscaling.targetCPUUtilizationPercentage -}}
{{- range $name, $container := dict "sidecar" .Values.sidecar "envoy" .Values.envoy -}}
{{- if not (dig "resources" "requests" "cpu" "" $container) -}}
{{- fail (printf "autoscaling: a percentage of the requested CPU, and %s.resources.requests.cpu is not set: the autoscaler would do nothing. Set it, or targetCPUUtilizationPercentage: 0" $name) -}}
{{- end -}}
{{- end -}}
{{- else if not .Values.autoscaling.customMetric -}}
{{- fail "autoscaling: enabled without a metric. Set targetCPUUtilizationPercentage or customMetric" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.keys .Values.existingSecret -}}
{{- fail "keys: given together with existingSecret; expected one of them. Put the keys into the Secret" -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled -}}
{{- fail "metrics: podMonitor and serviceMonitor are both enabled, so each pod would be scraped twice and every rate doubled. Enable one" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress: enabled without a host. Set ingress.host" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.existingConfigMap (not .Values.networkPolicy.extraEgress) -}}
{{- fail "networkPolicy: the chart cannot read which providers existingConfigMap names, so it would let nothing out. Set networkPolicy.extraEgress" -}}
{{- end -}}
{{- end -}}

{{- define "signalbox.checkEnvoy" -}}
{{- $root := index . 0 -}}
{{- $mode := index . 1 | dig "gateway" "mode" "priority_group" -}}
{{- $needed := ternary "1.39.0" "1.40.0" (eq $mode "cluster_header") -}}
{{- $given := default $root.Values.envoy.image.tag $root.Values.envoy.version -}}
{{- $version := regexFind "[0-9]+\\.[0-9]+(\\.[0-9]+)?" $given -}}
{{- if not $version -}}
{{- fail (printf "envoy.image.tag: %q does not say which Envoy it is; gateway.mode %s needs %s. Set envoy.version" $given $mode $needed) -}}
{{- end -}}
{{- if semverCompare (printf "<%s-0" $needed) (ternary $version (printf "%s.0" $version) (regexMatch "\\..*\\." $version)) -}}
{{- fail (printf "envoy: found version %s; gateway.mode %s of the policy needs %s or newer. Take a newer envoy.image.tag%s" $version $mode $needed (ternary ", or gateway.mode: cluster_header, which does without fallbacks" "" (and (eq $mode "priority_group") (semverCompare ">=1.39.0-0" (ternary $version (printf "%s.0" $version) (regexMatch "\\..*\\." $version)))))) -}}
{{- end -}}
{{- end -}}

{{- define "signalbox.checkTls" -}}
{{- $root := index . 0 -}}
{{- if and (eq $root.Values.mode "gateway") (not $root.Values.tls.existingSecret) (not $root.Values.existingConfigMap) (index . 1 | dig "gateway" "tls" "") (not $root.Values.extraVolumeMounts) -}}
{{- fail "policy: gateway.tls names files, and nothing mounts them. Set tls.existingSecret, which puts both into the policy as well" -}}
{{- end -}}
{{- end -}}
