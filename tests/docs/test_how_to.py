"""The diffs of the how-to pages apply to the checkout as it is, and touch few files.

If a diff no longer applies, the code has moved on: make the change of the page again and renew its diff.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
# Files that the change of a page may touch, outside tests/ and docs/.
MOST_FILES = {
    "add-a-column.md": 3,
    "add-a-rule.md": 2,
    "add-a-gold-table.md": 3,
    "add-a-file-format.md": 4,
}
# Their tests take minutes; those of the others some seconds.
SLOW = ("add-a-column.md", "add-a-gold-table.md")
DIFFS = {
    page: re.findall(
        r"^```diff\n(.*?)^```$", (HOW_TO / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for page in MOST_FILES
}
needs_git = pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None,
    reason="git apply needs a checkout with its .git, and git",
)


def test_every_page_that_adds_something_has_a_limit() -> None:
    assert {page.name for page in HOW_TO.glob("add-a-*.md")} == set(MOST_FILES)


@needs_git
@pytest.mark.parametrize(
    ("page", "number"), [(page, number) for page, diffs in DIFFS.items() for number in range(len(diffs))]
)
def test_a_diff_applies_to_the_checkout(page: str, number: int) -> None:
    diff = DIFFS[page][number]
    ran = subprocess.run(
        ["git", "apply", "--check", "-"], cwd=ROOT, input=diff, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{page}, diff {number + 1}:\n{ran.stderr}\n{diff}"


@pytest.mark.parametrize("page", MOST_FILES)
def test_a_change_touches_few_files_of_code_and_has_a_test(page: str) -> None:
    touched = {file for diff in DIFFS[page] for file in _files(diff)}
    code = {file for file in touched if not file.startswith(("tests/", "docs/"))}
    assert 1 <= len(code) <= MOST_FILES[page], sorted(code)
    assert any(file.startswith("tests/") for file in touched)


@needs_git
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else []) for page in MOST_FILES]
)
def test_the_tests_of_a_page_pass_on_its_change(page: str, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(changed)], check=True)
    for diff in DIFFS[page]:
        subprocess.run(["git", "apply", "-"], cwd=changed, input=diff, text=True, check=True)
    (changed / "var").mkdir()
    for name in ("java", "jars"):
        (changed / "var" / name).symlink_to(ROOT / "var" / name)
    files = sorted(file for diff in DIFFS[page] for file in _files(diff) if file.startswith("tests/"))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *files, "tests/docs/test_reference.py"]
    ran = subprocess.run(command, cwd=changed, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]


def _files(diff: str) -> set[str]:
    """Files that a diff changes, adds or deletes."""
    pairs = re.findall(r"^diff --git a/(\S+) b/(\S+)$", diff, flags=re.MULTILINE)
    return {file for pair in pairs for file in pair}
