"""What is looked at before a change lands, beside the tests."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.running.auditing import LOCK, audit_lock, verdict
from config.running.commands import deno_environment, fetch_css_linter, lint_css
from config.running.failures import Failure
from config.running.folders import PROJECT
from tests.servers import free_port

pytestmark = pytest.mark.integration

GOOD = {"name": "asgiref", "version": "3.13.0", "vulns": []}
UNKNOWN = {"name": "redis", "skip_reason": "Dependency not found on PyPI and could not be audited: redis (7.0.0)"}
WEAK = {
    "name": "django",
    "version": "3.2.0",
    "vulns": [
        {"id": "PYSEC-2021-98", "fix_versions": ["3.2.1", "3.1.9"], "aliases": ["CVE-2021-31542"]},
        {"id": "PYSEC-2099-1", "fix_versions": []},
    ],
}
NOBODY_THERE = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
DENO = Path(sys.executable).parent / "deno"
needs_pip_audit = pytest.mark.skipif(
    importlib.util.find_spec("pip_audit") is None, reason="pip-audit is not among the packages for tests."
)


def test_audit_verdict_with_vulnerabilities_raises_failure() -> None:
    words = r"django 3\.2\.0: PYSEC-2021-98 \(fixed in 3\.2\.1\), PYSEC-2099-1 \(not fixed yet\)"
    with pytest.raises(Failure, match=words):
        verdict({"dependencies": [GOOD, WEAK, UNKNOWN]})


def test_audit_verdict_without_vulnerabilities_counts_packages() -> None:
    assert verdict({"dependencies": [GOOD, GOOD]}) == "No known weakness in 2 packages."


def test_audit_verdict_names_unaudited_packages() -> None:
    assert verdict({"dependencies": [GOOD, UNKNOWN]}) == "No known weakness in 1 packages. NOT AUDITED: redis."
    assert verdict({"dependencies": [UNKNOWN]}).startswith("NOT AUDITED")


@needs_pip_audit
def test_audit_lock_without_network_reports_not_audited() -> None:
    assert audit_lock(env=NOBODY_THERE).startswith("NOT AUDITED: the list of known weaknesses cannot be reached")


@needs_pip_audit
def test_audit_lock_with_invalid_lock_raises_failure(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("django\n")
    with pytest.raises(Failure, match="pip-audit has failed"):
        audit_lock(tmp_path / "lock.txt")


def test_ci_runs_audit_on_hashed_lock() -> None:
    assert "step python3 run.py audit\n" in (PROJECT / ".ci" / "run").read_text()
    assert "--hash=sha256:" in LOCK.read_text()


@pytest.mark.skipif(not DENO.exists(), reason="Deno is not among the packages for tests.")
@pytest.mark.parametrize(
    ("style", "rule"),
    [
        ("a { color: red; }", None),
        ("a { colour: red; }", "property-no-unknown"),
        ("a { color: red; top: 0; color: red; }", "declaration-block-no-duplicate-properties"),
        ("a { color: #ff; }", "declaration-property-value-no-unknown"),
        ("a { }", "block-no-empty"),
    ],
)
def test_css_linter_finds_planted_fault(style: str, rule: str | None, tmp_path: Path) -> None:
    env = {**os.environ, **deno_environment()}
    if not fetch_css_linter(str(DENO), env):
        pytest.skip("The npm registry cannot be reached.")
    sheet = tmp_path / "planted.css"
    sheet.write_text(f"{style}\n")
    done = subprocess.run(
        lint_css(str(DENO), [str(sheet)]),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (1 if rule else 0), done.stderr
    assert (rule or "") in done.stderr


@pytest.mark.skipif(not DENO.exists(), reason="Deno is not among the packages for tests.")
def test_css_linter_without_npm_registry_is_not_fetched(tmp_path: Path) -> None:
    env = {**os.environ, "DENO_DIR": str(tmp_path), "NPM_CONFIG_REGISTRY": f"http://127.0.0.1:{free_port()}"}
    assert not fetch_css_linter(str(DENO), env)
