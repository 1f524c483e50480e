"""Lock files: what is read of them, what is refused, and what is compared with an installation."""

from __future__ import annotations

import pytest

from uqdm.environments.lock_file import LockFile, differences, installed_versions, parse_lock, unlocked_names


def parsed(text: str) -> LockFile:
    return parse_lock(text.encode(), "lock.txt")


def test_the_version_of_python_is_named_by_a_comment_at_the_top() -> None:
    assert parsed("# written by a tool\n#\n# Python: 3.9 \n\nidna==3.7\n").python == "3.9"
    assert parsed("idna==3.7\n# python: 3.9\n").python is None
    assert parsed("").python is None


@pytest.mark.parametrize("written", ["3", "3.9.1", ">=3.9", "", "three"])
def test_a_wrong_version_of_python_is_an_error(written: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^lock.txt: '# python: ?{written}': write a version with two numbers, as in"
    ):
        parsed(f"# python: {written}\nidna==3.7\n")


def test_lines_are_read_as_pip_reads_them() -> None:
    lock = parsed(
        "\ufeff--extra-index-url https://host/simple\n"
        "--only-binary :all:  # a comment\n"
        "torch==2.1.0+cpu ; python_version < '4' \\\n"
        "    --hash=sha256:12ab \\\n"
        "    --hash=sha256:34cd\n"
        "Some_Package[extra]>=1,<2  # not fixed\n"
        "mine @ git+https://host/mine.git@12ab\n"
    )
    assert [one.name for one in lock.requirements] == ["torch", "Some_Package", "mine"]
    assert not lock.no_deps
    assert "--extra-index-url https://host/simple\n" in lock.for_pip
    assert "--hash=sha256:34cd" in lock.for_pip


@pytest.mark.parametrize(
    ("line", "rest"), [("--no-deps", ""), ("  --no-deps  # yes", "# yes"), ("--no-deps --pre", "--pre")]
)
def test_an_option_that_pip_takes_on_its_command_line_only_is_kept_apart(line: str, rest: str) -> None:
    lock = parsed(f"{line}\nidna==3.7\n")
    assert lock.no_deps
    assert lock.for_pip == f"{rest}\nidna==3.7\n"
    assert not parsed("idna==3.7  # --no-deps\n# --no-deps\n").no_deps


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "-rother.txt",
        "--requirement=other.txt",
        "-c limits.txt",
        "--constraint x",
        "-e .",
        "--editable=.",
    ],
)
def test_other_local_files_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"^lock.txt: '.*': write the packages themselves; other local files are not"):
        parsed(f"idna==3.7\n{line}\n")


@pytest.mark.parametrize("line", ["./package", "package.whl/", "idna=3.7", "https://host/package.whl", "two words"])
def test_a_line_that_names_no_package_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"^lock.txt: '.*': write PACKAGE==VERSION, or PACKAGE @ URL$"):
        parsed(f"{line}\n")


def test_a_local_package_and_another_encoding_are_refused() -> None:
    with pytest.raises(ValueError, match="a local file is not in the hash"):
        parsed("mine @ file:///home/me/mine\n")
    with pytest.raises(ValueError, match=r"^lock.txt: not a text in UTF-8$"):
        parse_lock("idna==3.7  # ä".encode("latin-1"), "lock.txt")


@pytest.mark.parametrize(
    ("line", "frozen", "expected"),
    [
        ("idna==3.7", "idna==3.7", []),
        ("idna==3.7", "idna==3.6", ["idna==3.7 (installed: 3.6)"]),
        ("idna==3.7", "six==1.16.0", ["idna==3.7 (not installed)"]),
        ("Some.Package==1.0", "some-package==1.0.0", []),
        ("torch==2.1.0", "torch==2.1.0+cpu", []),
        ("torch==2.1.0+cu118", "torch==2.1.0+cpu", ["torch==2.1.0+cu118 (installed: 2.1.0+cpu)"]),
        ("numpy==1.*", "numpy==1.26.4", []),
        ("numpy<2", "numpy==2.0.0", ["numpy<2 (installed: 2.0.0)"]),
        ("six==1.0rc1", "six==1.0rc1", []),
        ("old==1; python_version < '3.8'", "six==1.16.0", []),
        ("new==1; python_full_version >= '3.9.2'", "six==1.16.0", ['new==1; python_full_version >= "3.9.2" (not']),
        ("mine @ git+https://host/mine.git@12ab", "mine @ git+https://host/mine.git@12ab", []),
    ],
)
def test_an_installation_is_compared_with_the_lock(line: str, frozen: str, expected: list[str]) -> None:
    found = list(differences(parsed(line).requirements, installed_versions([frozen]), "3.9.18"))
    assert len(found) == len(expected)
    assert all(one.startswith(text) for one, text in zip(found, expected, strict=True)), found


def test_packages_that_a_lock_does_not_fix_are_named() -> None:
    requirements = parsed("idna==3.7\nnumpy==1.*\nsix\nmine @ git+https://host/mine.git@12ab\n").requirements
    frozen = ["idna==3.7", "numpy==1.26.4", "six==1.16.0", "mine @ git+https://host/mine.git@12ab", "typing_x==1"]
    installed = installed_versions([*frozen, "pip==23.2.1", "setuptools==65.5.0", "# a comment"])
    assert unlocked_names(requirements, installed) == ["numpy", "six", "typing-x"]
