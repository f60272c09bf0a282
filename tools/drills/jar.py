"""Builds a jar of the faults with the Java compiler that Spark ships, so that no JDK is needed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

_SOURCES = Path(__file__).resolve().parent / "java"


def build_jar(spark: SparkSession, folder: Path) -> Path:
    """Compiles the faults into ``faults.jar``.

    Args:
        spark: a session, for its JVM.
        folder: folder for the jar; it is created if missing.
    """
    jvm: Any = spark._jvm
    folder.mkdir(parents=True, exist_ok=True)
    jar = folder / "faults.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for source in sorted(_SOURCES.glob("*.java")):
            compiler = jvm.org.codehaus.janino.SimpleCompiler()
            compiler.setParentClassLoader(jvm.java.lang.Thread.currentThread().getContextClassLoader())
            compiler.cookFile(str(source))
            for name, code in compiler.getBytecodes().items():
                archive.writestr(f"{name.replace('.', '/')}.class", bytes(code))
    return jar
