"""Fetch Apache Kafka's jars from Maven Central into a cache folder.

`python -m tests.kafka.fetch` prints the folder. The versions are in `pom.xml` beside this file.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

_POM = Path(__file__).with_name("pom.xml")
_JAVA_NEEDED = 17
_MAVEN_SECONDS = 600


class KafkaMissingError(Exception):
    """Apache Kafka cannot be had on this machine; the message says why."""


def kafka_version() -> str:
    """Return the version of Apache Kafka that `pom.xml` names."""
    version = ET.parse(_POM).findtext("properties/kafka.version")  # noqa: S314 -- our own file
    if version is None:
        raise KafkaMissingError(f"{_POM.name} has no property kafka.version")
    return version


def cache_folder() -> Path:
    """Return where the jars of this pom belong: `$LEADFLOW_CACHE` or `~/.cache/leadflow`.

    The name carries the pom's hash, so a folder, once there, never changes under a running broker.
    """
    base = Path(os.environ.get("LEADFLOW_CACHE") or Path.home() / ".cache" / "leadflow")
    mark = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    return base / f"kafka-{kafka_version()}-{mark}"


def java() -> str:
    """Return the path of a Java of version 17 or newer.

    Raises:
        KafkaMissingError: there is no Java, or an older one.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if found is None:
        raise KafkaMissingError(f"no java on the path (Apache Kafka 4 needs Java {_JAVA_NEEDED})")
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', answer.stderr)
    if match is None or int(match[1]) < _JAVA_NEEDED:
        first_line = (answer.stderr.strip().splitlines() or ["no version"])[0]
        raise KafkaMissingError(f"Apache Kafka 4 needs Java {_JAVA_NEEDED}, found {first_line}")
    return found


def fetch() -> Path:
    """Return the folder of jars, fetching them first where they are missing.

    Several processes may call this at once: one fetches, the others wait for it.

    Raises:
        KafkaMissingError: no Java 17, no Maven, or Maven could not resolve the jars.
    """
    java()
    target = cache_folder()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _copy_jars(target)
    return target


def _copy_jars(target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissingError("no mvn on the path to fetch Apache Kafka with")
    # Renaming a finished folder is atomic; a killed fetch leaves only a folder nobody reads.
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        command = [maven, "--batch-mode", "--quiet", "--file", str(_POM)]
        command += ["dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_MAVEN_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
            raise KafkaMissingError(f"Maven failed: {(lines or ['no reason given'])[0][:300]}")
        unfinished.rename(target)
    except subprocess.TimeoutExpired as error:
        raise KafkaMissingError(f"Maven took more than {_MAVEN_SECONDS} s") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def main() -> int:
    """Fetch, and print the folder; return the exit code."""
    try:
        print(fetch())
    except KafkaMissingError as error:
        print(f"Apache Kafka is missing: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
