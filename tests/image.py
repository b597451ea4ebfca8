"""`make image-test`: build the image for real, without a Docker engine, and see it serve.

    python -m tests.image

No registry is asked: the base is made here with debootstrap and takes the name that the Dockerfile
asks for.  It is kept in `IMAGE_TEST_CACHE` (`/var/cache/aichat-image-test`) for the next time.
The containers have no network, no capability and a root that nobody can write to.

Exits 0 with a word why where root, a tool or the network is missing, 1 if anything else fails.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("IMAGE_TEST_CACHE") or "/var/cache/aichat-image-test")
TOOLS = ("debootstrap", "buildah", "podman", "runc")
SUITE = "bookworm"
INSIDE = "python3,python3-pip,python3-venv,ca-certificates"
USER = 65532
REVISION = "0123456789abcdef"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

STORE = ("--root", f"{CACHE}/store", "--runroot", f"{CACHE}/run", "--storage-driver", "vfs")
PODMAN = ("podman", *STORE, "--runtime", "runc", "--cgroup-manager", "cgroupfs")
BUILDAH = ("buildah", *STORE)
HARDENED = (
    "--network=none",
    "--read-only",
    "--read-only-tmpfs=false",  # podman would be kinder than Docker is
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--ulimit=nofile=4096:4096",
    "--ulimit=nproc=4096:4096",
    "--no-healthcheck",  # podman asks systemd for the timer; the command is run by hand here
)
BORN = time.monotonic()


class Checks:
    """Counts what was seen."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def see(self, what: str, good: bool, seen: object = "") -> None:
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        say(f"{'ok  ' if good else 'FAIL'} {what}" + (f": {seen}" if seen != "" else ""))


def say(text: str) -> None:
    print(f"[{time.monotonic() - BORN:6.1f} s] {text}", flush=True)


def run(*command: str, quiet: bool = True, limit: float = 600) -> subprocess.CompletedProcess[str]:
    """Run to the end; what it printed is shown if it is not `quiet` and fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit
    )
    if done.returncode and not quiet:
        print(done.stdout[-8000:], flush=True)
    return done


def must(*command: str) -> str:
    done = run(*command, quiet=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with {done.returncode}")
    return done.stdout.strip()


def missing() -> str | None:
    """Why nothing can be tested here."""
    if os.geteuid() != 0:
        return "it needs root, for debootstrap and the namespaces"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"{', '.join(absent)} not installed" if absent else None


def base_of(dockerfile: str) -> str:
    """What the Dockerfile builds on, in full."""
    found = re.search(r"^ARG BASE=(\S+)$", dockerfile, re.MULTILINE)
    assert found, "the Dockerfile names no base"
    return f"docker.io/library/{found[1]}"


def make_base(name: str) -> str | None:
    """The stand-in for the base, from the cache or made; the reason where it cannot be had."""
    if run(*PODMAN, "image", "exists", name).returncode == 0:
        say(f"base from {CACHE}: {name}")
        return None
    say(f"making a stand-in for {name}: Debian {SUITE} with its own Python")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        # Else the image's root is for root alone, and its user can execute nothing.
        Path(folder).chmod(0o755)
        made = run("debootstrap", "--variant=minbase", f"--include={INSIDE}", SUITE, folder)
        if made.returncode:
            return f"debootstrap cannot make the base: {made.stdout.strip().splitlines()[-1:]}"
        with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(
                [*PODMAN, "import", "-q", "-", name], stdin=tar.stdout, check=True,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
    return None


def pip_mounts(folder: Path) -> Iterator[str]:
    """What pip needs to reach its index from here: mounted for the build, not baked in."""
    said = run(sys.executable, "-m", "pip", "config", "list").stdout
    wanted = dict(re.findall(r"^global\.(index-url|trusted-host)='(.*)'$", said, re.MULTILINE))
    if CERTIFICATES.exists():
        wanted["cert"] = str(CERTIFICATES)
        yield from ("-v", f"{CERTIFICATES.parent}:{CERTIFICATES.parent}:ro")
    if wanted:
        config = folder / "pip.conf"
        config.write_text("".join(["[global]\n", *(f"{k} = {v}\n" for k, v in wanted.items())]))
        config.chmod(0o644)
        yield from ("-v", f"{config}:/etc/pip.conf:ro")


def build(tag: str, base: str) -> str | None:
    """Build the image; the reason where pip reaches no index from here."""
    say("building")
    with tempfile.TemporaryDirectory() as folder:
        built = run(
            *BUILDAH, "bud", "--format", "docker", "--isolation", "chroot", "--pull-never",
            *pip_mounts(Path(folder)), "--build-arg", f"REVISION={REVISION}",
            "-t", tag, str(ROOT),
        )  # fmt: skip
    if built.returncode:
        if re.search("NewConnectionError|NameResolutionError|ConnectTimeout", built.stdout):
            return "pip reaches no index"
        print(built.stdout[-8000:], flush=True)
        raise SystemExit(f"the build failed with {built.returncode}")
    sizes = [int(must(*PODMAN, "inspect", "--format", "{{.Size}}", one)) for one in (tag, base)]
    say(
        f"image of {sizes[0] / 1e6:.0f} MB, {(sizes[0] - sizes[1]) / 1e6:.0f} MB more than its base"
    )
    return None


class Container:
    """One that runs the image hardened."""

    def __init__(self, tag: str, *arguments: str) -> None:
        self.id = must(*PODMAN, "run", "-d", *HARDENED, tag, *arguments)
        self.pid = int(self.inspect("{{.State.Pid}}"))

    def inspect(self, what: str) -> str:
        return must(*PODMAN, "inspect", "--format", what, self.id)

    def execute(self, *command: str, env: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        return run(*PODMAN, "exec", *(f"--env={one}" for one in env), self.id, *command)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 where nobody answers."""
        script = (
            "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9817, timeout=5);"
            f"c.request('GET', {path!r}); a = c.getresponse(); print(a.status, a.read().decode())"
        )
        done = self.execute("python3", "-c", script)
        status, _, body = done.stdout.partition(" ")
        return (int(status), body) if done.returncode == 0 else (0, done.stdout)

    def wait_for(self, path: str, pattern: str, limit: float) -> float | None:
        """Seconds until the answer matches; None where it never does."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < limit:
            status, body = self.get(path)
            if status == 200 and re.search(pattern, body, re.MULTILINE):
                return passed
            time.sleep(0.2)
        return None


@contextlib.contextmanager
def running(tag: str, *arguments: str) -> Iterator[Container]:
    began = time.monotonic()
    container = Container(tag, *arguments)
    say(f"container started in {time.monotonic() - began:.1f} s")
    try:
        yield container
        if container.inspect("{{.State.Status}}:{{.State.ExitCode}}") not in {
            "running:0",
            "exited:0",
        }:
            print(must(*PODMAN, "logs", container.id)[-4000:])
    finally:
        run(*PODMAN, "rm", "-f", "-v", "-t", "1", container.id)


def look_at_config(tag: str, checks: Checks) -> list[str]:
    """What the image says of itself; returns its health check."""
    about: dict[str, Any] = json.loads(must(*PODMAN, "inspect", tag))[0]
    config, labels = about["Config"], about["Config"].get("Labels", {})
    prefix = "org.opencontainers.image."
    found = {k.removeprefix(prefix): v for k, v in labels.items() if k.startswith(prefix)}
    checks.see("labels", set(found) == {"title", "description", "licenses", "version", "revision"})
    checks.see("the revision is a label", found.get("revision") == REVISION)
    checks.see("a numeric user", config["User"] == f"{USER}:{USER}", config["User"])
    checks.see("the data is a volume", list(config["Volumes"]) == ["/data"])
    test = about["Healthcheck"]["Test"]
    checks.see("a health check without a shell", test[0] == "CMD", " ".join(test[1:]))
    return list(test[1:])


def look_inside(service: Container, checks: Checks) -> None:
    """Nothing in it that does not belong there, and nothing to be written but the data."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    facts = dict(re.findall(r"^(Uid|CapEff|NoNewPrivs):\s+(\S+)", status, re.MULTILINE))
    wanted = {"Uid": str(USER), "CapEff": "0" * 16, "NoNewPrivs": "1"}
    checks.see("runs as its user, without any capability", facts == wanted, facts)
    for place in ("/", "/tmp", "/etc/monitor", "/opt/monitor", "/home", "/var/tmp"):
        wrote = service.execute("python3", "-c", f"open({place!r} + '/probe', 'w')")
        seen = wrote.stdout.strip().rpartition("\n")[2]
        checks.see(f"{place} cannot be written", f"[Errno {errno.EROFS}]" in seen, seen)
    script = (
        "import pathlib, shutil, sysconfig; site = pathlib.Path(sysconfig.get_path('purelib'));"
        "root = pathlib.Path('/opt/monitor');"
        "bad = [*site.glob('pip*'), *site.glob('setuptools*'), *site.glob('tests'),"
        " *root.rglob('.git'), *root.rglob('.env'), *root.glob('bin/pip*'),"
        " *filter(None, map(shutil.which, ['gcc', 'cc', 'pip', 'curl']))];"
        "bad = [str(p) for p in bad if '/opt/monitor' in str(p) or 'cc' in str(p)];"
        "print(bad, pathlib.Path('/src').exists())"
    )
    found = service.execute("python3", "-I", "-c", script).stdout.strip()
    checks.see("no pip, no compiler, no tests, no sources", found == "[] False", found)


def look_at_health(service: Container, test: list[str], checks: Checks) -> None:
    """The command says yes of a service that answers, and no of one that hangs or is not there."""
    checks.see("healthy", service.execute(*test).returncode == 0)
    elsewhere = service.execute(*test, env=["MONITOR_LISTEN=127.0.0.1:1"])
    checks.see(
        "not healthy where nobody listens", elsewhere.returncode == 1, elsewhere.stdout.strip()
    )
    os.kill(service.pid, signal.SIGSTOP)
    hanging = service.execute(*test)
    os.kill(service.pid, signal.SIGCONT)
    checks.see(
        "not healthy while the service hangs", hanging.returncode == 1, hanging.stdout.strip()
    )


def look_at_service(tag: str, test: list[str], checks: Checks) -> None:
    """`monitor run` with the shipped `checks.yaml`, from the first answer to SIGTERM."""
    with running(tag) as service:
        ready = service.wait_for("/-/ready", "ready", 20)
        checks.see("ready", ready is not None, f"{ready or 0:.1f} s")
        status, body = service.get("/metrics")
        build = re.search(r"^aichat_build_info\{.*\} 1", body, re.MULTILINE)
        checks.see("metrics", status == 200 and build is not None, f"{len(body)} characters")
        checks.see("the revision is shown", f'revision="{REVISION}"' in (build[0] if build else ""))
        checks.see("page", service.get("/")[0] == 200)
        look_inside(service, checks)
        valid = service.execute("monitor", "validate")
        checks.see("the shipped checks.yaml is valid", valid.returncode == 0)
        past = service.execute("sh", "-c", "test -s /data/ledger.db && monitor outages")
        checks.see("the ledger is in /data", past.returncode == 0, past.stdout.strip())
        look_at_health(service, test, checks)
        began = time.monotonic()
        must(*PODMAN, "stop", "-t", "10", service.id)
        code = service.inspect("{{.State.ExitCode}}")
        checks.see("SIGTERM ends it", code == "0", f"{time.monotonic() - began:.1f} s, exit {code}")


def look_at_demo(tag: str, checks: Checks) -> None:
    """`monitor demo`, and a whole outage of its story begins to show."""
    with running(tag, "demo") as service:
        ready = service.wait_for("/-/ready", "ready", 20)
        checks.see("the demo is ready", ready is not None, f"{ready or 0:.1f} s")
        down = service.wait_for("/metrics", r'^aichat_check_state\{.*state="down".*\} 1', 110)
        checks.see("the demo's first outage is told", down is not None, f"after {down or 0:.0f} s")


def main() -> int:
    if why := missing():
        print(f"image-test skipped: {why}")
        return 0
    os.umask(0o022)
    CACHE.mkdir(parents=True, exist_ok=True)
    base = base_of((ROOT / "Dockerfile").read_text("utf-8"))
    if why := make_base(base):
        print(f"image-test skipped: {why}")
        return 0
    tag, checks = f"localhost/aichat-monitor:test-{secrets.token_hex(4)}", Checks()
    try:
        if why := build(tag, base):
            print(f"image-test skipped: {why}")
            return 0
        test = look_at_config(tag, checks)
        look_at_service(tag, test, checks)
        look_at_demo(tag, checks)
    finally:
        run(*BUILDAH, "rmi", "--prune", "--force")
        run(*BUILDAH, "rmi", "--force", tag)
    say("done")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
