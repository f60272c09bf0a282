"""What reaches a Kubernetes API server: pods as spark-submit makes them of the place and its templates."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.places.kubernetes_api import KubernetesApi, kubernetes_api

ROOT = Path(__file__).resolve().parents[2]
VERSION = "1.33"
TEMPLATES = sorted((ROOT / "configs" / "places").glob("kubernetes-*.yaml"))


def environment(api: KubernetesApi, *settings: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CYMBAL_", "KUBE"))}
    # No waiting for a pod that nobody starts; no configuration of the user's own cluster.
    words = [f"--conf {shlex.quote(setting)}" for setting in settings]
    return {
        **own,
        "KUBECONFIG": os.devnull,
        "CYMBAL_MASTER": api.master,
        "CYMBAL_IMAGE": "cymbal-sales:0.1.0",
        "CYMBAL_SPARK_ARGS": " ".join(words),
    }


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["spec"]["containers"]
    return dict(only)


def variables(pod: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(pod)["env"]}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_pod_template_is_one_of_the_apis_schema(template: Path) -> None:
    kubernetes_validate.validate(yaml.safe_load(template.read_text()), VERSION, strict=True)


def test_the_driver_of_cluster_mode_is_a_pod_that_the_api_takes(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("late: {days: 3}\n")
    submit = [
        "scripts/submit.sh",
        "--place",
        "kubernetes",
        "--deploy-mode",
        "cluster",
        "--print",
        "run_batch",
    ]
    with kubernetes_api() as api:
        variables_of_run = environment(api, "spark.kubernetes.submission.waitAppCompletion=false")
        variables_of_run["CYMBAL_STAGING"] = (tmp_path / "staging").as_uri()
        (tmp_path / "staging").mkdir()
        printed = subprocess.run(
            [*submit, "--config", str(config), "--lake", "s3a://sales/lake"],
            cwd=ROOT, env=variables_of_run, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        ran = subprocess.run(
            shlex.split(printed.stdout), env=variables_of_run, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        (pod,) = api.of_kind("Pod")
    kubernetes_validate.validate(pod, VERSION, strict=True)
    assert container(pod)["image"] == "cymbal-sales:0.1.0"
    assert container(pod)["args"][0] == "driver"
    assert "local:///opt/cymbal/jobs/run_batch.py" in container(pod)["args"]
    assert container(pod)["args"][-2] == "--result"
    assert container(pod)["args"][-1].startswith((tmp_path / "staging" / "results").as_uri())
    # The config goes with the driver, and is found beside it.
    assert "mine.yaml" in container(pod)["args"]
    assert list((tmp_path / "staging").rglob("mine.yaml"))
    # What the template adds is there beside what Spark adds.
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container(pod)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["metadata"]["labels"]["spark-role"] == "driver"
    assert variables(pod)["CYMBAL_PLACE"] == "kubernetes"


def test_the_executors_of_client_mode_are_pods_that_the_api_takes(tmp_path: Path) -> None:
    command = [
        *("scripts/submit.sh", "--place", "kubernetes", "run_batch"),
        *("--landing", str(tmp_path / "landing"), "--lake", str(tmp_path / "lake")),
    ]
    with kubernetes_api() as api:
        own = environment(api, "spark.driver.host=127.0.0.1")
        driver = subprocess.Popen(
            command,
            cwd=ROOT,
            env=own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            pods = api.wait_for("Pod", 4, seconds=90)
        finally:
            os.killpg(driver.pid, signal.SIGKILL)  # nobody starts the pods: it would wait for ever
            driver.wait(timeout=30)
    assert len(pods) == 4
    for pod in pods:
        kubernetes_validate.validate(pod, VERSION, strict=True)
        assert container(pod)["args"] == ["executor"]
        assert pod["spec"]["terminationGracePeriodSeconds"] == 120
        hook = container(pod)["lifecycle"]["preStop"]["exec"]["command"]
        assert hook == ["/opt/cymbal/deploy/docker/decommission.sh"]
        assert pod["spec"]["affinity"]["podAntiAffinity"]
        assert container(pod)["resources"]["requests"]["cpu"] == "4"


def test_the_entrypoint_starts_an_executor_with_the_variables_that_spark_sets(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    java.chmod(0o755)
    of_spark = {
        "SPARK_DRIVER_URL": "spark://driver:7078", "SPARK_EXECUTOR_ID": "3", "SPARK_EXECUTOR_CORES": "4",
        "SPARK_EXECUTOR_MEMORY": "4g", "SPARK_APPLICATION_ID": "spark-1", "SPARK_EXECUTOR_POD_IP": "10.0.0.7",
        "SPARK_EXECUTOR_POD_NAME": "exec-3", "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_JAVA_OPT_0": "-Dspark.driver.port=7078", "SPARK_JAVA_OPT_1": "-XX:-DontCompileHugeMethods",
    }  # fmt: skip
    started = subprocess.run(
        [str(ROOT / "deploy" / "docker" / "entrypoint.sh"), "executor"],
        env={"PATH": os.environ["PATH"], "JAVA_HOME": str(tmp_path), "SPARK_HOME": "/opt/spark", **of_spark},
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout.splitlines()  # fmt: skip
    options, _, own = (started[:4], started[4], started[5:])
    assert set(options) == {of_spark["SPARK_JAVA_OPT_0"], of_spark["SPARK_JAVA_OPT_1"], "-Xms4g", "-Xmx4g"}
    assert own[1] == "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
    told = dict(zip(own[2::2], own[3::2], strict=True))
    assert told == {
        "--driver-url": "spark://driver:7078", "--executor-id": "3", "--cores": "4", "--app-id": "spark-1",
        "--hostname": "10.0.0.7", "--resourceProfileId": "0", "--podName": "exec-3",
    }  # fmt: skip


def test_the_entrypoint_refuses_a_role_that_there_is_not() -> None:
    refused = subprocess.run(
        [str(ROOT / "deploy" / "docker" / "entrypoint.sh"), "drivr"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "unknown role drivr" in refused.stderr
