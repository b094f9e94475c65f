{{/* Names and labels. */}}

{{- define "signalbox.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "signalbox.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "signalbox.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "signalbox.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "signalbox.selectorLabels" -}}
app.kubernetes.io/name: {{ include "signalbox.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "signalbox.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "signalbox.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "signalbox.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "signalbox.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image: REPOSITORY@DIGEST, or REPOSITORY:TAG. Takes a list of the image and the default tag. */}}
{{- define "signalbox.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "signalbox.policyConfigMap" -}}
{{- default (printf "%s-policy" (include "signalbox.fullname" .)) .Values.existingConfigMap -}}
{{- end -}}

{{- define "signalbox.keysSecret" -}}
{{- default (printf "%s-keys" (include "signalbox.fullname" .)) .Values.existingSecret -}}
{{- end -}}

{{- define "signalbox.scheme" -}}
{{- if eq .Values.mode "attach" -}}HTTP{{- else if (include "signalbox.policy" . | fromYaml | dig "gateway" "tls" (ternary "tls" "" (ne .Values.tls.existingSecret ""))) -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{- define "signalbox.portName" -}}
{{- if eq .Values.mode "attach" -}}grpc{{- else -}}{{- include "signalbox.scheme" . | lower -}}{{- end -}}
{{- end -}}

{{- define "signalbox.servicePort" -}}
{{- if eq .Values.mode "attach" -}}{{- default 9000 .Values.service.port -}}{{- else -}}
{{- default (ternary 443 80 (eq (include "signalbox.scheme" .) "HTTPS")) .Values.service.port -}}
{{- end -}}
{{- end -}}
