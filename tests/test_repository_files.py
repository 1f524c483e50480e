"""Guards the files for GitHub and for contributors: their schemas, and that what they name exists.

Nothing but GitHub runs the workflows; so the commands, targets, versions and scripts in them are checked here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from documented import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from small_run import measure_run
from test_docs import test_links_to_pages_and_headings_lead_somewhere as check_links
from test_documented_commands import check_arguments, split_arguments

from uqdm.bench.datasets import open_dataset

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
SCHEMAS = {
    "github-workflows": WORKFLOWS,
    "dependabot": [GITHUB / "dependabot.yml"],
    "github-issue-forms": FORMS,
    "github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "citation-file-format": [ROOT / "CITATION.cff"],
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAY = {  # what a job may do beyond reading the repository
    ("site", "publish"): {"pages": "write", "id-token": "write"},
    ("release", "publish"): {"id-token": "write", "attestations": "write"},
    ("release", "announce"): {"contents": "write"},
}
ACTION = re.compile(r"[\w.-]+/[\w.-]+@(v\d+|release/v\d+)")  # by the tag of a major version
MODULES = {"build", "pip", "pytest", "twine", "uqdm", "venv"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield path.stem, name, job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for workflow, name, job in jobs():
        for step in job.get("steps", []):
            yield f"{workflow}: {name}", step


def script(workflow: str, name: str) -> str:
    """The commands of the step of that name."""
    (found,) = [
        step["run"] for where, step in steps() if where.startswith(f"{workflow}: ") and step.get("name") == name
    ]
    return str(found)


def commands() -> Iterator[str]:
    for _, step in steps():
        yield from (line.strip() for line in step.get("run", "").splitlines())


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a clone")
    return done.stdout.split()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_meet_their_published_schema(schema: str) -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*command, *map(str, SCHEMAS[schema])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_workflows_have_few_permissions_and_an_end() -> None:
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}, path.name
        assert "${{ github.ref }}" in workflow["concurrency"]["group"], path.name
        assert "pull_request_target" not in workflow[True], path.name  # YAML reads `on` as true
    for workflow, name, job in jobs():
        assert job.get("permissions", {}) == MAY.get((workflow, name), {}), (workflow, name)
        assert "uses" in job or 1 <= job["timeout-minutes"] <= 120, (workflow, name)


def test_actions_are_pinned_and_get_no_credentials_to_keep() -> None:
    for where, step in steps():
        if "uses" in step:
            assert ACTION.fullmatch(step["uses"]), (where, step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, where
        assert "${{" not in step.get("run", ""), f"{where}: text of others could become a command; use env"
    for _, _, job in jobs():
        assert "uses" not in job or (ROOT / job["uses"]).is_file()
    assert "secrets." not in "".join(path.read_text() for path in WORKFLOWS)


def test_scripts_of_steps_can_be_parsed() -> None:
    for where, step in steps():
        if "run" in step:
            done = subprocess.run(["bash", "-n", "-c", step["run"]], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), where


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {target for line in commands() for target in re.findall(r"\bmake ([a-z-]+)", line)}
    assert {"lint", "test", "site", "site-check"} <= called <= targets
    assert {"check", "test", "lint"} <= targets


def test_commands_of_uqdm_and_modules_exist() -> None:
    typed = [line.partition(" | ")[0].replace("python -m uqdm", "uqdm") for line in commands()]
    found = [one for line in typed if re.match(r"uqdm\b", line) for one in split_arguments(line)]
    assert ["init"] in found
    for arguments in found:
        check_arguments(arguments)
    assert {name for line in commands() for name in re.findall(r"python -m (\w+)", line)} <= MODULES


def test_tests_run_on_every_supported_python_and_the_wheel_on_the_first_and_last() -> None:
    named = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if "Python :: 3." in one]
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(8, 30) if f"3.{minor}.0" in allowed] == named
    of_job = {(workflow, name): job for workflow, name, job in jobs()}
    assert of_job["checks", "test"]["strategy"]["matrix"]["python"] == named
    assert of_job["package", "smoke"]["strategy"]["matrix"]["python"] == [named[0], named[-1]]
    chosen = {step["with"]["python-version"] for _, step in steps() if "setup-python@" in step.get("uses", "")}
    assert chosen - {"${{ matrix.python }}"} <= set(named)
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert config["mypy"]["python_version"] == named[0]
    assert config["ruff"]["target-version"] == f"py{named[0].replace('.', '')}"


def test_the_site_that_is_published_is_the_one_that_is_built() -> None:
    (uploaded,) = [step["with"]["path"] for _, step in steps() if "upload-pages-artifact" in step.get("uses", "")]
    assert re.search(rf"^site_dir: {re.escape(uploaded)}$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)


@pytest.mark.slow
def test_the_smoke_test_accepts_a_run_and_refuses_failures(tmp_path: Path) -> None:
    check = script("package", "What it measured")
    named = re.findall(r'"([\w-]+)"', re.search(r"assert \{(.*?)\}", check)[1])  # type: ignore[index]
    shipped = read(ROOT / "config" / "config.yaml")["runs"]["demo"]["codecs"]
    assert set(named) <= set(shipped)
    run_dir = tmp_path / "work" / "results" / "demo"
    measure_run(run_dir, open_dataset("demo", limit=1), *named)
    environment = {
        **os.environ,
        "RUNNER_TEMP": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = ["bash", "-e", "-o", "pipefail", "-c"]
    subprocess.run([*command, check], env=environment, check=True)
    without = check.replace('"webp"', '"webp", "jxl"')
    assert subprocess.run([*command, without], env=environment, check=False, capture_output=True).returncode == 1


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder with what the release reads, its version dated."""
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    log = tmp_path / "CHANGELOG.md"
    dated = f"## [Unreleased]\n\n## [{PROJECT['version']}] - 2026-12-01\n"
    log.write_text(log.read_text().replace("## [Unreleased]\n", dated, 1))
    return tmp_path


def run_script(text: str, folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GITHUB_REF_NAME": tag, "RUNNER_TEMP": str(folder)}
    command = ["bash", "-e", "-o", "pipefail", "-c", text]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_release_needs_its_version_everywhere(release: Path) -> None:
    check, tag = script("release", "The tag, the version and the change log agree"), f"v{PROJECT['version']}"
    assert run_script(check, release, tag).returncode == 0
    assert "pyproject.toml has another version" in run_script(check, release, "v9.9.9").stderr
    (release / "CHANGELOG.md").write_text((ROOT / "CHANGELOG.md").read_text().replace(f"[{PROJECT['version']}]", "[x]"))
    assert "CHANGELOG.md has no dated section" in run_script(check, release, tag).stderr


def test_notes_of_a_release_are_the_section_of_its_version(release: Path) -> None:
    text = script("release", "The section of the change log")
    assert run_script(text, release, f"v{PROJECT['version']}").returncode == 0
    notes = (release / "notes.md").read_text()
    assert "### Added" in notes
    assert "## [" not in notes
    assert run_script(text, release, "v9.9.9").returncode == 1


def test_the_change_log_has_an_open_section_and_the_version_is_one() -> None:
    log = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## (.*)$", log, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", one) for one in sections[1:])
    parts = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", log, re.MULTILINE)) <= parts
    assert read(ROOT / "CITATION.cff")["version"] == PROJECT["version"]
    assert sections[1:] or PROJECT["version"] in log


def test_hooks_call_locked_tools_on_files_that_exist() -> None:
    test_extra = {Requirement(one).name for one in PROJECT["optional-dependencies"]["test"]}
    lock = {line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    for hook in read(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]:
        program, _, rest = hook["entry"].partition(" ")
        name = Path(program).name
        assert program == f".venv/bin/{name}"
        name = rest.split()[1] if name == "python" else name
        assert name in test_extra & lock, hook["id"]
        if "files" in hook:
            assert any(re.search(hook["files"], path) for path in tracked()), hook["id"]
    assert {"ruff", "mypy", "snakefmt"} <= {
        Path(line.split()[0]).name
        for line in re.findall(r"entry: (.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    }


def test_groups_of_updates_match_dependencies() -> None:
    extras = PROJECT["optional-dependencies"].values()
    names = {Requirement(one).name for group in (PROJECT["dependencies"], *extras) for one in group}
    for update in read(GITHUB / "dependabot.yml")["updates"]:
        assert (ROOT / update["directory"].lstrip("/")).is_dir()
        if update["package-ecosystem"] == "pip":
            for pattern in update["groups"]["tools"]["patterns"]:
                assert any(fnmatch(name, pattern) for name in names), pattern


def test_reports_of_faults_ask_for_what_doctor_prints() -> None:
    for path in FORMS:
        fields = {field["id"]: field for field in read(path)["body"] if "id" in field}
        if path.stem in ("fault", "figure"):
            assert "uqdm doctor --json" in fields["doctor"]["attributes"]["label"]
            assert fields["doctor"]["validations"]["required"]
            assert fields["doctor"]["attributes"]["render"] == "json"
        for typed in re.findall(r"`(uqdm [^`]*)`", path.read_text()):
            for arguments in split_arguments(" ".join(typed.split())):
                check_arguments(arguments)
        for name in re.findall(r"\b(?:docs/)?[\w-]+\.md\b", path.read_text()):
            assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("name", ["CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"])
def test_links_of_pages_for_contributors_lead_somewhere(name: str) -> None:
    check_links(ROOT / name)


def test_contributing_lists_every_workflow() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.stem for path in WORKFLOWS)
