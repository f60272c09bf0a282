#!/bin/bash
# Starts a container in its role: submit ARGUMENTS (scripts/submit.sh), master, or worker MASTER. Kubernetes starts
# the roles driver and executor, with the variables that Spark sets for its pods.
set -euo pipefail

role=${1:-submit}
[[ $# -gt 0 ]] && shift

spark_class() { # spark_class CLASS ARGUMENTS...
    exec "$SPARK_HOME/bin/spark-class" "$@"
}

case $role in
    submit) exec /opt/cymbal/scripts/submit.sh "$@" ;;
    master) spark_class org.apache.spark.deploy.master.Master --host "$(hostname)" "$@" ;;
    worker) spark_class org.apache.spark.deploy.worker.Worker "$@" ;;
    driver)
        exec "$SPARK_HOME/bin/spark-submit" \
            --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" \
            --conf "spark.executorEnv.SPARK_DRIVER_POD_IP=$SPARK_DRIVER_BIND_ADDRESS" \
            --deploy-mode client "$@"
        ;;
    executor)
        # Spark passes one option per variable: SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ...
        mapfile -t options < <(env | sed -n 's/^SPARK_JAVA_OPT_[0-9]*=//p')
        classes="${SPARK_CONF_DIR:-$SPARK_HOME/conf}:${SPARK_CLASSPATH:-}:$SPARK_HOME/jars/*"
        exec "$JAVA_HOME/bin/java" \
            "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$classes" \
            org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
            --driver-url "$SPARK_DRIVER_URL" \
            --executor-id "$SPARK_EXECUTOR_ID" \
            --cores "$SPARK_EXECUTOR_CORES" \
            --app-id "$SPARK_APPLICATION_ID" \
            --hostname "$SPARK_EXECUTOR_POD_IP" \
            --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
            --podName "$SPARK_EXECUTOR_POD_NAME"
        ;;
    *)
        echo "error: unknown role $role: one of submit, master, worker, driver, executor" >&2
        exit 2
        ;;
esac
