"""Downloads a jar by its Maven coordinates.

The jar comes from CYMBAL_MAVEN_MIRROR if that is set: an http(s):// or file:// root in Maven's layout. Else
it comes from ``vendor`` if that exists. Else Ivy, which ships inside pyspark, downloads it from its built-in
default, the public Maven repository.
"""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from scripts.bootstrap.common import VENDOR, SetupError, last_line, run_quietly
from scripts.bootstrap.environment import site_packages
from scripts.bootstrap.java import WRAPPER
from scripts.bootstrap.trust import PASSWORD, trusted_authorities, write_trust_store

DOWNLOAD_SECONDS = 180.0
NO_ANSWER_SECONDS = 30

IVY_SETTINGS = """<ivysettings>
  <settings defaultResolver="maven"/>
  <caches defaultCacheDir="{cache}"/>
  <resolvers><ibiblio name="maven" m2compatible="true"/></resolvers>
</ivysettings>
"""


def download(group: str, name: str, version: str, folder: Path) -> Path:
    """Downloads ``name-version.jar`` into a scratch folder, which also gets temporary files.

    Returns:
        Path of the jar.

    Raises:
        SetupError: no repository supplies it within some minutes.
    """
    target = folder / f"{name}-{version}.jar"
    path = path_in_repository(group, name, version)
    if mirror := os.environ.get("CYMBAL_MAVEN_MIRROR"):
        _download_from(mirror, path, target)
    elif (VENDOR / "maven").exists():
        _download_from((VENDOR / "maven").as_uri(), path, target)
    else:
        _retrieve_with_ivy((group, name, version), target)
    return target


def path_in_repository(group: str, name: str, version: str) -> str:
    """Returns the folder of an artifact in Maven's layout."""
    return f"{group.replace('.', '/')}/{name}/{version}"


def _download_from(mirror: str, path: str, target: Path) -> None:
    address = f"{mirror.rstrip('/')}/{path}/{target.name}"
    if urlsplit(address).scheme not in ("http", "https", "file"):
        raise SetupError(f"CYMBAL_MAVEN_MIRROR={mirror}: an http://, https:// or file:// root is needed")
    try:
        with urllib.request.urlopen(address, timeout=NO_ANSWER_SECONDS) as reply, target.open("wb") as file:
            shutil.copyfileobj(reply, file)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise SetupError(f"cannot fetch {target.name} from {address}: {reason}") from error


def _retrieve_with_ivy(coordinates: tuple[str, str, str], target: Path) -> None:
    output = _run_ivy(coordinates, target.parent, [])
    if not target.exists() and "PKIX path" in output:  # Java does not trust a proxy's certificate
        output = _run_ivy(coordinates, target.parent, _python_trust(target.parent))
    if not target.exists():
        reason = last_line(output, with_word="exception")
        raise SetupError(
            f"cannot fetch {target.name}: no Maven repository could supply it ({reason}); "
            "set CYMBAL_MAVEN_MIRROR to another one"
        )


def _run_ivy(coordinates: tuple[str, str, str], scratch: Path, java_options: list[str]) -> str:
    settings = scratch / "ivysettings.xml"
    settings.write_text(IVY_SETTINGS.format(cache=scratch / "cache"), encoding="utf-8")
    ivy = next(iter(sorted((site_packages() / "pyspark" / "jars").glob("ivy-*.jar"))), None)
    if ivy is None:
        raise SetupError("pyspark in .venv has no Ivy: remove .venv and run again")
    timeout_ms = NO_ANSWER_SECONDS * 1000
    command = [
        str(WRAPPER),
        f"-Dsun.net.client.defaultConnectTimeout={timeout_ms}",
        f"-Dsun.net.client.defaultReadTimeout={timeout_ms}",
        *_proxy_options(),
        *java_options,
        *("-cp", str(ivy), "org.apache.ivy.Main", "-settings", str(settings)),
        *("-dependency", *coordinates, "-notransitive", "-types", "jar"),
        *("-retrieve", f"{scratch}/[artifact]-[revision].[ext]"),
    ]
    return run_quietly(command, seconds=DOWNLOAD_SECONDS).stdout


def _python_trust(scratch: Path) -> list[str]:
    store = scratch / "trust.jks"
    write_trust_store(store, trusted_authorities())
    options = {"trustStore": store, "trustStoreType": "jks", "trustStorePassword": PASSWORD}
    return [f"-Djavax.net.ssl.{name}={value}" for name, value in options.items()]


def _proxy_options() -> list[str]:
    """Passes the proxies on as Java options, because Java ignores https_proxy."""
    options = []
    for scheme, address in urllib.request.getproxies().items():
        proxy = urlsplit(address)
        if scheme in ("http", "https") and proxy.hostname:
            options += [f"-D{scheme}.proxyHost={proxy.hostname}", f"-D{scheme}.proxyPort={proxy.port or 80}"]
    return options
