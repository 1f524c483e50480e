"""A new user's path, walked with the built distributions in empty environments; it writes a transcript.

    python benchmarks/installed_wheel.py                                        # the wheel, this Python
    python benchmarks/installed_wheel.py --python python3.12 --python python3.13 --kind sdist
    sudo python benchmarks/installed_wheel.py --user nobody                     # read-only packages, another user

It builds a wheel or a source distribution of the committed files. For each Python it makes an empty environment,
installs the distribution with the extra ``codecs`` from the package index, and walks the path in an empty folder: help,
doctor, ``uqdm init``, ``uqdm run`` on a few images, and a file that is coded and decoded. With ``--user`` (as root) the
environment is made read-only first, and that user walks the path, without a home. Every command must succeed, and every
row of the results must be one that was measured. The environments need about 7 GB each on Linux x86_64.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "$ "
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PROGRESS = re.compile(
    r"^(evaluate|score) \w+: ([\d,]+/|the slowest|features|\S+: \d+ ok|\S+ \(\d+ settings?\))"
    r"|^  \S+ \S+, images 0-|^NOT SCORED|^Using workflow"
)
"""Lines that the transcript leaves out: progress, and what nobody asked for."""
CHECK = """
import pandas as pd
from pathlib import Path
rows = pd.concat([pd.read_parquet(file) for file in sorted(Path('results/demo/per_image').rglob('*.parquet'))])
counts = rows.status.value_counts().to_dict()
print(len(rows), 'rows:', counts)
assert set(counts) <= {'ok', 'skipped'} and counts['ok'] > 100, rows[['codec', 'status', 'error']].drop_duplicates()
assert rows.loc[rows.status == 'ok', 'image_index'].nunique() == LIMIT
assert Path('results/demo/report.html').stat().st_size > 100_000
"""


@dataclass
class Walk:
    """Commands in a folder, as one user, and what they printed."""

    folder: Path
    environment: dict[str, str]
    user: str | None
    lines: list[str] = field(default_factory=list)

    def run(self, command: str, *, shown: str | None = None, keep: int | None = None) -> str:
        """Runs a command line of the shell; raises SystemExit with its output if it fails.

        ``shown`` stands in the transcript in place of the command, and ``keep`` is the number of last lines kept.
        """
        started = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            user=self.user,
            group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
            extra_groups=None if self.user is None else [],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
        printed = ESCAPES.sub("", done.stdout).replace("\r", "\n").rstrip().splitlines()
        if done.returncode != 0:
            sys.exit("\n".join([f"{command}: exit status {done.returncode}", *printed[-60:]]))
        told = [line for line in map(self._without_folders, printed) if not PROGRESS.search(line)]
        kept = told if keep is None else told[len(told) - keep :]
        self.lines += [PROMPT + (shown or command), *(["..."] if 0 < len(kept) < len(told) else []), *kept]
        self.lines += [f"# {seconds:.0f} seconds"] * (seconds >= 10)
        print("\n".join([PROMPT + command, *printed, f"# {seconds:.1f} s"]), flush=True)
        return done.stdout

    def _without_folders(self, line: str) -> str:
        """A line without the temporary folder of this walk."""
        return line.replace(f"{self.folder}/", "").replace(str(self.folder.parent), "~")


def build(kind: str, folder: Path) -> Path:
    """The distribution of the committed files."""
    source = folder / "source"
    source.mkdir()
    subprocess.run(f"git archive HEAD | tar -x -C {shlex.quote(str(source))}", shell=True, cwd=ROOT, check=True)
    out = folder / "dist"
    out.mkdir()
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, stdout=subprocess.DEVNULL)
    (made,) = out.iterdir()
    return made


def make_read_only(folder: Path) -> None:
    """Removes the permission to write from everybody, and lets everybody read."""
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(folder)], check=True)


def clean_environment(binaries: Path, home: Path | None) -> dict[str, str]:
    """The variables of a new user: the commands of the environment first, and the index of packages of this process."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "LANG", "LC_"))}
    path = os.pathsep.join([str(binaries), "/usr/local/bin", "/usr/bin", "/bin"])
    return {**kept, "PATH": path, "TERM": "dumb", **({"HOME": str(home)} if home else {"HOME": "/nonexistent"})}


def walk(python: str, distribution: Path, folder: Path, options: argparse.Namespace) -> Walk:
    """Installs the distribution for one Python in ``folder``, and walks the path there."""
    folder.mkdir()
    environment, work, home = folder / "env", folder / "work", folder / "home"
    work.mkdir()
    home.mkdir()
    variables = clean_environment(environment / "bin", home)
    installing = Walk(folder, variables, None)
    installing.run(f"{shlex.quote(python)} -m venv env", shown="python3 -m venv env && . env/bin/activate")
    installing.run(f"pip install '{distribution}[codecs]'", shown=f"pip install '{distribution.name}[codecs]'", keep=0)
    if options.user:
        make_read_only(environment)
        work.chmod(0o777)
        variables = clean_environment(environment / "bin", None)
    walked = Walk(work, variables, options.user, installing.lines)
    walked.run("python --version")
    walked.run("uqdm init")
    walked.run(f"uqdm run -- --config limit={options.limit}")
    Walk(work, variables, options.user).run(f"python -c {shlex.quote(CHECK.replace('LIMIT', str(options.limit)))}")
    walked.run("ls results/demo")
    walked.run("uqdm bench extract results/demo --image 0 --codec png --out files")
    walked.run("uqdm encode files/image0__original.png photo.uqdm")
    walked.run("uqdm decode photo.uqdm photo.png")
    walked.run("uqdm doctor", keep=7)
    return walked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", help="interpreter; may be repeated [this one]")
    parser.add_argument("--kind", choices=("wheel", "sdist"), default="wheel")
    parser.add_argument("--limit", type=int, default=8, help="images of the demo [8]")
    parser.add_argument("--user", help="walk the path as this user, with read-only packages (needs root)")
    parser.add_argument("--transcript", type=Path, help="file that the transcript of the last Python is written to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        distribution = build(options.kind, folder)
        for number, python in enumerate(options.python or [sys.executable]):
            walked = walk(python, distribution, folder / f"python-{number}", options)
            print(f"{python}: the path was walked", flush=True)
            subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    if options.transcript:
        options.transcript.write_text("\n".join(walked.lines) + "\n")


if __name__ == "__main__":
    main()
