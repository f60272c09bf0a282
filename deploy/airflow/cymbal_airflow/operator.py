"""Runs a job of the batch through the Spark provider, and reads its outcome from its result file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from cymbal_airflow.outcome import FINAL, describe_result, read_result
from cymbal_airflow.settings import Site

# For these places the Spark connection or CYMBAL_MASTER gives the master. For others the name is the master.
_MASTER_FORMS = {"standalone": "spark://", "kubernetes": "k8s://"}


class SalesJobHook(SparkSubmitHook):
    """Runs a job through ``scripts/submit.sh``, the only code that calls spark-submit.

    Passes on the master, the deploy mode and other settings of the connection, the operator and OpenLineage.
    """

    def __init__(self, site: Site, result: Path, **hook_arguments: Any) -> None:
        """Takes the site, the path of the result, and the arguments of the provider's hook."""
        self._site = site
        self._result = result
        super().__init__(**hook_arguments)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last command; None if no command has ended."""
        return None if self._submit_sp is None else self._submit_sp.returncode

    def submit(self, application: str = "", **popen_arguments: Any) -> str | None:
        """Runs a job.

        Args:
            application: name of the job.
            popen_arguments: arguments for ``subprocess.Popen``.

        Returns:
            None, because the hook tracks no driver.

        Raises:
            AirflowException: the exit code is not 0.
        """
        # The result of an earlier try must not pass for this one's.
        self._result.unlink(missing_ok=True)
        return super().submit(application, **popen_arguments)

    def _resolve_should_track_driver_status(self) -> bool:
        # In cluster mode submit.sh itself waits for the driver and copies its result.
        return False

    def _resolve_connection(self) -> dict[str, Any]:
        connection = super()._resolve_connection()
        form = _MASTER_FORMS.get(self._site.place)
        if form is None:
            connection["master"] = self._site.place
        elif not connection["master"].startswith(form):
            connection["master"] = os.environ.get("CYMBAL_MASTER", form)
        return connection

    def _build_spark_submit_command(self, application: str) -> list[str]:
        _, master, *arguments = self._build_spark_common_args()
        command = [str(self._site.home / "scripts" / "submit.sh"), "--place", self._site.place]
        if "--deploy-mode" in arguments:
            index = arguments.index("--deploy-mode")
            command += arguments[index : index + 2]
            del arguments[index : index + 2]
        self._env = {
            **(self._env or {}),
            "CYMBAL_MASTER": master,
            "CYMBAL_SPARK_ARGS": f"{os.environ.get('CYMBAL_SPARK_ARGS', '')} {shlex.join(arguments)}".strip(),
        }
        command += [application, *(self._application_args or [])]
        self.log.info("command: %s", self._mask_cmd(command))
        return command


class SalesJobOperator(SparkSubmitOperator):
    """Runs a job. Its exit code decides whether Airflow retries the task.

    Exit codes 2, 3, 4 and 5 fail the task at once, whatever ``retries`` is: a rerun of the same command
    cannot fix them. Every other failure may be retried: 75 (another run had the lake, or workers were lost),
    1, and a run without a result because its driver was killed. The same command resumes the work.

    ``jars``, ``properties_file`` and similar settings come from the place (``configs/places``). ``conf`` and
    the connection's settings override them.
    """

    def __init__(self, *, job: str, arguments: Sequence[str] = (), **operator_arguments: Any) -> None:
        """Takes the job's name, its options (templated) and the arguments of the provider's operator."""
        operator_arguments.setdefault("durable", False)  # no driver to find again: submit.sh waits for it
        super().__init__(application=job, application_args=list(arguments), name="", **operator_arguments)
        self._site: Site | None = None
        self._result: Path | None = None

    def execute(self, context: Any) -> Any:
        """Runs the job.

        Returns:
            A summary of its result: run_id, status, exit_code, and the path of the full result.

        Raises:
            AirflowFailException: the job failed, and a retry cannot help.
            AirflowException: the job failed, and a retry may succeed.
        """
        site = Site.current()
        instance = context["ti"]
        result = site.results / instance.dag_id / _folder_name(instance.run_id) / f"{instance.task_id}.json"
        self._site, self._result = site, result
        self.application_args = [*(self.application_args or []), *site.options, "--result", str(result)]
        error = None
        try:
            super().execute(context)
        except (AirflowException, RuntimeError) as raised:
            error = raised
        return self._check_outcome(result, error)

    def _check_outcome(self, path: Path, error: Exception | None) -> dict[str, Any]:
        result = read_result(path)
        hook = self._hook
        code = result["exit_code"] if result else hook.exit_code if isinstance(hook, SalesJobHook) else None
        summary = describe_result(result) if result else f"the run left no result; exit code {code}"
        self.log.info("%s\nresult: %s", summary, path)
        # A run writes its result last: if there is one, errors from Spark's shutdown do not matter.
        if code == 0 if result else error is None:
            fields = ("run_id", "status", "exit_code")
            return {"result": str(path), **{name: (result or {}).get(name) for name in fields}}
        if code in FINAL:
            raise AirflowFailException(f"{FINAL[code]}: {summary}") from None
        raise AirflowException(f"a retry may succeed: {summary}") from error

    def _get_hook(self) -> SparkSubmitHook:
        if self._site is None or self._result is None:
            raise RuntimeError("the hook is available only while the job runs")
        return SalesJobHook(
            self._site,
            self._result,
            conf=self.conf,
            conn_id=self._conn_id,
            files=self.files,
            keytab=self.keytab,
            principal=self.principal,
            proxy_user=self.proxy_user,
            name=self.name,
            application_args=self.application_args,
            env_vars=self.env_vars,
            yarn_queue=self._yarn_queue,
            deploy_mode=self._deploy_mode,
            use_krb5ccache=self._use_krb5ccache,
        )


def _folder_name(run_id: str) -> str:
    """Turns a run's id into a folder name that any file system accepts."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in run_id)
