#!/bin/bash
# Kubernetes runs this before it ends an executor's pod. The executor moves its map outputs to others, then ends.
set -euo pipefail

executor=$(pgrep --full --oldest org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend) || exit 0
kill -s PWR "$executor"
# Must be shorter than spark.kubernetes.executor.terminationGracePeriodSeconds.
timeout 110 tail --pid="$executor" --follow /dev/null || true
