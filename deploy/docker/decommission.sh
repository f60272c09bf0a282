#!/bin/bash
# Run by Kubernetes before it ends an executor's pod: the executor hands its map outputs to others, and ends.
set -euo pipefail

executor=$(pgrep --full --oldest org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend) || exit 0
kill -s PWR "$executor"
# Shorter than spark.kubernetes.executor.terminationGracePeriodSeconds.
timeout 110 tail --pid="$executor" --follow /dev/null || true
