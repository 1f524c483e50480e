"""The state of a run by its folder: running, finished, stopped or died, and its progress.

A run writes ``status.json`` while it is under way. A process that was killed cannot write that it died; it shows in
the lock of the folder, which the kernel releases.
"""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uqdm.bench.progress.lock import Holder, holder
from uqdm.bench.progress.progress import FINISHED, RUNNING, STOPPED
from uqdm.bench.progress.rate_and_eta import IMAGES, counts_text, left_text, rate_text
from uqdm.bench.progress.status_content import is_count, is_status
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_json
from uqdm.bench.run.layout import evaluation_path, is_run, manifests_dir, scores_path, shard_files, status_path
from uqdm.text import counted, printable

DIED, UNFINISHED = "died", "unfinished"

SILENT_SECONDS = 60.0
"""A run on another host, whose process cannot be observed, counts as dead this long after its last update."""

_PIDS = 2**31  # no system has process ids from here on
_AGAIN = "run the same command again to resume"
_STATES = (RUNNING, FINISHED, STOPPED, DIED, UNFINISHED)


@dataclass(frozen=True)
class RunStatus:
    """The state of a run.

    ``state`` is one of "running", "finished", "stopped" (``reason`` says why), "died" (it was killed), and
    "unfinished" (not running, and nothing more is known). ``content`` is the content of the run's status file or,
    if there is none, the content of its other files under the same keys.
    """

    folder: str
    state: str
    reason: str | None = None
    holder: Holder | None = None
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        """Whether a process works in the folder."""
        return self.state == RUNNING

    def to_json(self) -> dict[str, Any]:
        """The object that ``uqdm bench status --json`` prints."""
        held = None if self.holder is None else asdict(self.holder)
        return {**self.content, "folder": self.folder, "state": self.state, "reason": self.reason, "holder": held}

    def headline(self) -> str:
        """State and progress, in one line."""
        what = self.content.get("what") or (self.holder.what if self.holder else None) or "a run"
        return f"{self.folder}: {what}, {self._state_text()}"

    def lines(self) -> list[str]:
        """Everything that is known, as lines of text."""
        codecs: Mapping[str, Mapping[str, Any]] = self.content.get("codecs", {})
        width = max((len(codec["title"]) for codec in codecs.values()), default=0)
        found = [self.headline()]
        found += [f"  {codec['title']:<{width}}  {_codec_text(codec, self.under_way)}" for codec in codecs.values()]
        slowest = self.content.get("slowest_shards", [])[:3]
        found += [f"  slow: {_slow_text(shard)}" for shard in slowest]
        messages = self.content.get("messages", [])[-3:]
        return found + [f"  said: {text}" for text in messages]

    def _state_text(self) -> str:
        content, kept = self.content, self._kept()
        if self.state == RUNNING:
            who = f"{self.holder}" if self.holder else f"process {content.get('pid')} on {content.get('host')}"
            return f"running: {self._counts()}; {who}" if "done" in content else f"running: {kept}; {who}"
        if self.state == FINISHED:
            when = f" at {_moment(content['updated'])}" if "updated" in content else ""
            return f"finished{when}: {self._counts() if 'total' in content else kept}"
        if self.state == STOPPED:
            return f"stopped at {_moment(content.get('updated'))}: {self.reason}; {kept}; {_AGAIN}"
        if self.state == DIED:
            return f"died: last update at {_moment(content.get('updated'))}; {kept}; {_AGAIN}"
        return f"unfinished, no process works on it: {kept}; {_AGAIN}"

    def _counts(self) -> str:
        content = self.content
        text = counts_text(
            content["done"], content["total"], content.get("failed", 0), f" {content.get('unit', IMAGES)}"
        )
        if self.state != RUNNING:
            return text
        return f"{text}, {rate_text(content.get('rate_per_s'))}, {left_text(content.get('seconds_left'))}"

    def _kept(self) -> str:
        if "total" in self.content:
            return f"{self.content['done']:,} of {self.content['total']:,} done are kept"
        return f"{counted(self.content.get('shard_files', 0), 'shard is', 'shards are')} kept"


def run_status(run_dir: Path) -> RunStatus:
    """The state of the run in a folder; raises :class:`~uqdm.bench.run.errors.ResultsError` if there is none."""
    if not is_run(run_dir):
        raise ResultsError(f"no run in {run_dir}; make one with: uqdm bench evaluate --out {run_dir}")
    content = _status_content(run_dir)
    held, is_known = _holder(run_dir)
    if content is None:
        return RunStatus(str(run_dir), _state_of_files(run_dir, held), holder=held, content=_files(run_dir))
    state, reason = content["state"], content.get("reason")
    if held is not None:
        state, reason = RUNNING, None  # perhaps another process than the one that wrote last
        content = content if content["state"] == RUNNING and _same(held, content) else {**_files(run_dir)}
    elif state == RUNNING and not _alive(content, is_known):
        state = DIED
    return RunStatus(str(run_dir), state, reason, held, content)


def find_runs(folder: Path) -> list[Path]:
    """The folder itself if it holds a run, or those in it that do.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` if there are none.
    """
    if is_run(folder):
        return [folder]
    runs = [path for path in sorted(folder.glob("*")) if path.is_dir() and is_run(path)]
    if not runs:
        raise ResultsError(f"no run in {folder}; make one with: snakemake --cores all, or uqdm bench evaluate --out")
    return runs


def report(runs: Sequence[RunStatus]) -> list[str]:
    """Lines of text: everything that is known of one run, or a line for each of several."""
    lines = runs[0].lines() if len(runs) == 1 else [run.headline() for run in runs]
    return [printable(line) for line in lines]


def _status_content(run_dir: Path) -> dict[str, Any] | None:
    """The content of the status file; None if there is none, or if it is not valid."""
    try:
        content = read_json(status_path(run_dir))
    except (OSError, ResultsError):
        return None
    return content if is_status(content) and content["state"] in _STATES else None


def _holder(run_dir: Path) -> tuple[Holder | None, bool]:
    """The process that holds the folder, and whether that is known."""
    try:
        return holder(run_dir), True
    except OSError:
        return None, False


def _same(held: Holder, content: Mapping[str, Any]) -> bool:
    return held.pid is None or (held.pid, held.host) == (content.get("pid"), content.get("host"))


def _alive(content: Mapping[str, Any], is_known: bool) -> bool:
    """Whether a run whose lock no process seems to hold is alive: it is about to end, or its lock is not visible here.

    ``is_known`` says that the holder of the lock is known.
    """
    is_recent = _seconds_ago(content.get("updated")) < SILENT_SECONDS
    if content.get("host") != socket.gethostname():
        return is_recent
    alive = _process_exists(content.get("pid"))
    return alive if not is_known else alive and is_recent


def _process_exists(pid: Any) -> bool:
    if not is_count(pid) or not 0 < pid < _PIDS:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _seconds_ago(moment: Any) -> float:
    try:
        then = datetime.datetime.fromisoformat(str(moment))
        return (datetime.datetime.now(datetime.UTC) - then).total_seconds()
    except (ValueError, TypeError):
        return float("inf")


def _state_of_files(run_dir: Path, held: Holder | None) -> str:
    if held is not None:
        return RUNNING
    return UNFINISHED if _evaluation(run_dir) is None else FINISHED


def _files(run_dir: Path) -> dict[str, Any]:
    """The progress by the other files of a run, if it has no status file; invalid files are named."""
    evaluation = _evaluation(run_dir)
    if evaluation is None:
        return _unfinished_files(run_dir)
    total = sum(codec["total"] for codec in evaluation["codecs"].values())
    failed = sum(codec["failed"] for codec in evaluation["codecs"].values())
    what = f"{'score' if scores_path(run_dir).is_file() else 'evaluate'} {evaluation['dataset']}"
    return {"what": what, "done": total, "total": total, "failed": failed, "codecs": evaluation["codecs"]}


def _evaluation(run_dir: Path) -> dict[str, Any] | None:
    """The codecs and the data set's name by ``evaluation.json``; None if it is absent or invalid."""
    try:
        content = read_json(evaluation_path(run_dir))
        codecs = {str(name): _of_outcome(outcome) for name, outcome in content["codecs"].items()}
        name = content["dataset"]["name"]
    except (OSError, ResultsError, KeyError, TypeError, AttributeError):
        return None
    return {"codecs": codecs, "dataset": name} if isinstance(name, str) else None


def _unfinished_files(run_dir: Path) -> dict[str, Any]:
    shards = sum(1 for _ in shard_files(run_dir))
    unread = [path for path in (evaluation_path(run_dir),) if os.path.lexists(path)]
    codecs = {}
    for path in sorted(manifests_dir(run_dir).glob("*.json")):
        try:
            codecs[path.stem] = _of_outcome(read_json(path))
        except (OSError, ResultsError, KeyError, TypeError):
            unread.append(path)
    messages = [f"{path}: not what an evaluation writes; evaluate again" for path in unread]
    return {"shard_files": shards, "codecs": codecs, "messages": messages}


def _of_outcome(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Title and counts of a codec; raises KeyError or TypeError if ``outcome`` is not a codec's outcome."""
    title = outcome["codec"]
    ok = outcome["ok"]
    failed = outcome["failed"]
    if not isinstance(title, str) or not is_count(ok) or not is_count(failed):
        raise TypeError("not a codec's outcome")
    return {"title": title, "total": ok + failed, "done": ok + failed, "failed": failed}


def _codec_text(codec: Mapping[str, Any], under_way: bool) -> str:
    text = counts_text(codec["done"], codec["total"], codec["failed"])
    if not under_way or codec["done"] >= codec["total"]:
        return text
    return f"{text}, {rate_text(codec.get('rate_per_s'))}, {left_text(codec.get('seconds_left'))}"


def _slow_text(shard: Mapping[str, Any]) -> str:
    name = f"{shard['codec']} {shard['setting']}".strip()
    return f"{name}, images {shard['start']}-{shard['stop'] - 1}: {shard['seconds']:.1f} s on {shard['host']}"


def _moment(text: Any) -> str:
    """The time if it was today, otherwise date and time.

    >>> _moment("2020-02-03T04:05:06+00:00")[:10], _moment(None)
    ('2020-02-03', '?')
    """
    try:
        moment = datetime.datetime.fromisoformat(str(text)).astimezone()
    except ValueError:
        return "?"
    today = moment.date() == datetime.datetime.now().astimezone().date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
