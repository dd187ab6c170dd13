"""A package that pip installs into a folder of its own, as ``pip install --target`` does."""

import subprocess
import sys
import zipfile
from pathlib import Path


def install_aside(folder: Path, name: str, version: str, source: str) -> None:
    """Let pip install a package of one module that has the package's name."""
    wheel = folder.parent / f"{name}-{version}-py3-none-any.whl"
    described = f"{name}-{version}.dist-info"
    contents = {
        f"{name}.py": source,
        f"{described}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{described}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    contents[f"{described}/RECORD"] = "".join(f"{file},,\n" for file in [*contents, f"{described}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, content in contents.items():
            archive.writestr(file, content)
    options = ["--no-index", "--no-deps", "--quiet", "--disable-pip-version-check", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True, timeout=120)
