"""python -m infra.package: make `.package`, the app with its libraries as it is uploaded.

The libraries are wheels for Azure's Linux and the app's Python, whatever machine this is, in the folder in which the
Functions worker looks for them. So no remote build is needed, which takes another Python than the app's (azure-dev
#8538) and would install what is pruned here:

* msgraph-sdk is 17,000 modules, one for each address of Graph. The app makes addresses with the SDK's builders and
  sends and reads plain JSON (shared/graph/client.py). A builder stays when the app's code mentions its name and that of
  every builder that leads to it: more than the app can reach, never less, and nothing to keep a list of.
* google-api-python-client brings a description of each of Google's services. Those stay that the app's code names.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / ".package"
PYTHON = "3.13"  # as in app.bicep
LIBRARIES = Path(".python_packages", "lib", "site-packages")  # Microsoft, "Python developer reference": folders

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_BUILDER = "_request_builder"


def stage(target: Path) -> None:
    """Copy the app: everything but what `.funcignore` names. Its patterns are names of files and folders."""
    ignored = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line]

    def left_out(_: str, names: list[str]) -> list[str]:
        return [name for name in names if any(fnmatch(name, pattern) for pattern in ignored)]

    shutil.copytree(ROOT, target, ignore=left_out)


def install(target: Path) -> None:
    """Install the libraries. Raises CalledProcessError, after pip has said why."""
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    requirements = ("--only-binary", ":all:", "--requirement", str(ROOT / "requirements.txt"))
    subprocess.run(  # noqa: S603 - our own words only
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
            *("--implementation", "cp", "--python-version", PYTHON, *platforms),
            *("--target", str(target), *requirements),
        ],
        check=True,
    )


def prune(libraries: Path, app: Path) -> None:
    """Remove what the app's code in `app` cannot reach."""
    code = [ast.parse(file.read_bytes()) for file in sorted((app / "shared").rglob("*.py"))]
    nodes = [node for tree in code for node in ast.walk(tree)]
    graph = libraries / "msgraph"
    _remove(graph, keep=reachable(graph, {node.attr for node in nodes if isinstance(node, ast.Attribute)}))
    documents = libraries / "googleapiclient" / "discovery_cache" / "documents"
    named = {".".join(words) for node in nodes if isinstance(node, ast.Call) for words in [_first_words(node)]}
    _remove(documents, keep={documents / f"{name}.json" for name in named})


def reachable(package: Path, names: set[str]) -> set[Path]:
    """Return the modules of msgraph-sdk that are loaded with it, and the builders to which these attributes can lead.

    A builder imports another in the property or method that returns it. What the methods that send import is left out:
    they are the SDK's models, and the app does not call them.
    """
    found: set[Path] = set()
    waiting = [package / "__init__.py", *package.glob("*.py")]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        body = ast.parse(module.read_bytes()).body
        waiting += _imported(body, module, package)
        for step in (step for node in body if isinstance(node, ast.ClassDef) for step in node.body):
            if isinstance(step, ast.FunctionDef) and step.name in names:
                waiting += [file for file in _imported(step.body, module, package) if file.stem.endswith(_BUILDER)]
    return found


def _imported(body: Iterable[ast.stmt], module: Path, package: Path) -> Iterator[Path]:
    """Yield the files that statements of `module` import from the package itself."""
    for node in body:
        if isinstance(node, ast.If):
            continue  # `if TYPE_CHECKING` and checks of arguments
        if isinstance(node, ast.ImportFrom) and node.level:
            start = module.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            places = [start, *(start / alias.name for alias in node.names)]
            files = [place.with_suffix(".py") for place in places] + [start / "__init__.py"]
            yield from (file for file in files if file.is_file() and file.is_relative_to(package))


def _first_words(call: ast.Call) -> list[str]:
    words = [argument.value for argument in call.args[:2] if isinstance(argument, ast.Constant)]
    return [word for word in words if isinstance(word, str)]


def _remove(folder: Path, keep: set[Path]) -> None:
    for file in _files(folder):
        if file not in keep:
            file.unlink()
    for child in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(child.iterdir()):
            child.rmdir()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@dataclass(frozen=True)
class Size:
    """Of a folder with all that is in it."""

    bytes: int
    files: int

    @classmethod
    def of(cls, folder: Path) -> "Size":
        """Measure a folder."""
        return cls(sum(file.stat().st_size for file in _files(folder)), len(_files(folder)))

    def __str__(self) -> str:
        return f"{self.bytes / 1024**2:6.1f} MB in {self.files:6,} files"


def build(target: Path) -> dict[str, tuple[Size, Size]]:
    """Make the package anew; return the sizes before and after pruning, of the whole and of what is pruned."""
    shutil.rmtree(target, ignore_errors=True)
    stage(target)
    libraries = target / LIBRARIES
    install(libraries)
    parts = {"msgraph-sdk": "msgraph", "google-api-python-client": "googleapiclient", "all libraries": "."}
    before = {name: Size.of(libraries / part) for name, part in parts.items()}
    prune(libraries, target)
    # Whatever builds on top of this finds nothing to install.
    (target / "requirements.txt").write_text("# All libraries are in .python_packages, see infra/package.py.\n")
    return {name: (before[name], Size.of(libraries / part)) for name, part in parts.items()}


def main() -> None:
    """Make `.package`, and say how large it is."""
    for name, (before, after) in build(PACKAGE).items():
        print(f"{name:26}{before}  ->  {after}")
    if not (PACKAGE / "connections.json").is_file():
        print("There is no connections.json yet: an app without it answers webhooks with 503.")


if __name__ == "__main__":
    main()
