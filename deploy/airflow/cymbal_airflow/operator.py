"""Runs a job of the batch through the Spark provider, and judges how it ended by its result file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from cymbal_airflow.outcome import FINAL, in_words, read_result
from cymbal_airflow.settings import Site

# Places whose master the Spark connection or CYMBAL_MASTER says; the others are a master by their name.
_MASTER_FORMS = {"standalone": "spark://", "kubernetes": "k8s://"}


class SalesJobHook(SparkSubmitHook):
    """Hands a job to ``scripts/submit.sh``, the one home of how this project calls spark-submit.

    Master, deploy mode and whatever else the connection, the operator or OpenLineage say go with it.
    """

    def __init__(self, site: Site, result: Path, **more: Any) -> None:
        """Takes the site, where the result will be, and the arguments of the provider's own hook."""
        self._site = site
        self._result = result
        super().__init__(**more)

    @property
    def exit_code(self) -> int | None:
        """How the last command ended; None where none did."""
        return None if self._submit_sp is None else self._submit_sp.returncode

    def submit(self, application: str = "", **more: Any) -> str | None:
        """Runs a job.

        Args:
            application: its name.
            more: arguments for ``subprocess.Popen``.

        Returns:
            None: no driver is tracked.

        Raises:
            AirflowException: it ended with another exit code than 0.
        """
        # A result of an earlier try must not be taken for this one's.
        self._result.unlink(missing_ok=True)
        return super().submit(application, **more)

    def _resolve_should_track_driver_status(self) -> bool:
        # In cluster mode submit.sh waits for the driver itself, and fetches its result.
        return False

    def _resolve_connection(self) -> dict[str, Any]:
        found = super()._resolve_connection()
        form = _MASTER_FORMS.get(self._site.place)
        if form is None:
            found["master"] = self._site.place
        elif not found["master"].startswith(form):
            found["master"] = os.environ.get("CYMBAL_MASTER", form)  # submit.sh says so where it is not whole
        return found

    def _build_spark_submit_command(self, application: str) -> list[str]:
        _, master, *more = self._build_spark_common_args()
        command = [str(self._site.home / "scripts" / "submit.sh"), "--place", self._site.place]
        if "--deploy-mode" in more:
            at = more.index("--deploy-mode")
            command += more[at : at + 2]
            del more[at : at + 2]
        self._env = {
            **(self._env or {}),
            "CYMBAL_MASTER": master,
            "CYMBAL_SPARK_ARGS": f"{os.environ.get('CYMBAL_SPARK_ARGS', '')} {shlex.join(more)}".strip(),
        }
        command += [application, *(self._application_args or [])]
        self.log.info("command: %s", self._mask_cmd(command))
        return command


class SalesJobOperator(SparkSubmitOperator):
    """Runs a job; its exit code decides whether the task is tried again.

    Exit codes 2, 3, 4 and 5 fail the task at once, whatever ``retries`` says: the same command would come to
    the same. All else that is not 0 may be tried again: 75 (another run was first, or workers were lost), 1,
    and a run that left no result, since its driver was killed. The same command takes up what is left.

    ``jars``, ``properties_file`` and the like are the place's (``configs/places``); ``conf`` and the
    connection's settings go on top of them.
    """

    def __init__(self, *, job: str, arguments: Sequence[str] = (), **more: Any) -> None:
        """Takes the job's name, its options (templated) and what the provider's operator takes."""
        more.setdefault("durable", False)  # nothing to find again: submit.sh waits for a driver elsewhere
        super().__init__(application=job, application_args=list(arguments), name="", **more)
        self._site: Site | None = None
        self._result: Path | None = None

    def execute(self, context: Any) -> Any:
        """Runs the job.

        Returns:
            Its result in short: run_id, status, exit_code, and where the whole of it is.

        Raises:
            AirflowFailException: it failed, and would again.
            AirflowException: it failed, and another try may end well.
        """
        site = Site.current()
        instance = context["ti"]
        result = site.results / instance.dag_id / _as_name(instance.run_id) / f"{instance.task_id}.json"
        self._site, self._result = site, result
        self.application_args = [*(self.application_args or []), *site.options, "--result", str(result)]
        error = None
        try:
            super().execute(context)
        except (AirflowException, RuntimeError) as raised:
            error = raised
        return self._judged(result, error)

    def _judged(self, path: Path, error: Exception | None) -> dict[str, Any]:
        result = read_result(path)
        hook = self._hook
        code = result["exit_code"] if result else hook.exit_code if isinstance(hook, SalesJobHook) else None
        told = in_words(result) if result else f"no result was left; exit code {code}"
        self.log.info("%s\nresult: %s", told, path)
        # The result is a run's last act: with it, what Spark said while it went down is of no weight.
        if code == 0 if result else error is None:
            kept = ("run_id", "status", "exit_code")
            return {"result": str(path), **{name: (result or {}).get(name) for name in kept}}
        if code in FINAL:
            raise AirflowFailException(f"{FINAL[code]}: {told}") from None
        raise AirflowException(f"may end well when tried again: {told}") from error

    def _get_hook(self) -> SparkSubmitHook:
        if self._site is None or self._result is None:
            raise RuntimeError("a job's site is known once it runs")
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


def _as_name(run_id: str) -> str:
    """A run's id as the name of a folder on any file system."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in run_id)
