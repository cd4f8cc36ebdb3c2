"""Z39.50 over TLS, with certificates that the test makes."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol import apdu
from server.config import ConfigError, Tls, load_config
from server.errors import StartError
from server.z3950.tls import server_context
from tests.harness import RunningServer, running_demo, serving
from tests.z3950_client import Client, connected, init_request, records

CONFIG = """\
[server]
data_dir = "data"
workers = 1
[z3950]
port = 0
[z3950.tls]
port = 0
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
client_accounts = {{ "ils.pku.example" = "demo1", "sha256:{fingerprint}" = "demo2", ghost = "x" }}
[http]
port = 0
[access]
anonymous = true
"""


def openssl(folder: Path, *arguments: str, at: str = "") -> str:
    command = ["faketime", at, "openssl"] if at else ["openssl"]
    done = subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def issue(
    folder: Path, name: str, common_name: str, *, authority: bool = False, made: str = ""
) -> None:
    """`name.pem` and `name.key`: an authority of its own, or issued by `ca`; good for two days."""
    by = () if authority else ("-CA", "ca.pem", "-CAkey", "ca.key")
    openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", f"/CN={common_name}", "-keyout", f"{name}.key",
        "-out", f"{name}.pem", *by,
        "-addext", f"basicConstraints=critical,CA:{'TRUE' if authority else 'FALSE'}",
        *(() if authority else ("-addext", "subjectAltName=IP:127.0.0.1")), at=made,
    )  # fmt: skip


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    issue(folder, "ca", "Test authority", authority=True)
    issue(folder, "server", "127.0.0.1")
    issue(folder, "named", "ils.pku.example")
    issue(folder, "printed", "any name")
    issue(folder, "unknown", "nobody we know")
    issue(folder, "ghost", "ghost")
    issue(folder, "foreign", "ils.pku.example", authority=True)
    issue(folder, "expired", "ils.pku.example", made="10 days ago")
    return folder


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[RunningServer]:
    printed = openssl(certificates, "x509", "-in", "printed.pem", "-noout", "-fingerprint",
                      "-sha256")  # fmt: skip
    fingerprint = printed.strip().partition("=")[2]
    (certificates / "config.toml").write_text(CONFIG.format(fingerprint=fingerprint), "utf-8")
    with running_demo(certificates) as running:
        yield running


def context(certificates: Path, client: str | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=certificates / "ca.pem")
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if client is not None:
        made.load_cert_chain(certificates / f"{client}.pem", certificates / f"{client}.key")
    return made


@contextmanager
def over_tls(peer: str, tls: ssl.SSLContext) -> Iterator[Client]:
    client = Client(peer)
    try:
        client.socket = tls.wrap_socket(client.socket, server_hostname="127.0.0.1")
        yield client
    finally:
        client.close()


def test_both_ports_serve_and_tls_is_1_2_or_later(
    server: RunningServer, certificates: Path
) -> None:
    with connected(server.z3950, "demo1/demo1") as plain:
        hits = plain.search("@attr 1=1003 knuth", "we_cat").result_count
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        tls = context(certificates)
        tls.minimum_version = tls.maximum_version = version
        with over_tls(server.z3950s, tls) as client:
            assert client.init("demo1/demo1").result
            assert client.search("@attr 1=1003 knuth", "we_cat").result_count == hits
            assert len(records(client.present(1, hits))) == hits
            client.send(apdu.Close(close_reason=apdu.CloseReason.FINISHED))
            assert isinstance(client.receive(), apdu.Close)
            assert client.receive() is None


@pytest.mark.parametrize(("certificate", "account"), [("named", "demo1"), ("printed", "demo2")])
def test_a_client_certificate_is_a_login(
    server: RunningServer, certificates: Path, certificate: str, account: str
) -> None:
    with over_tls(server.z3950s, context(certificates, certificate)) as client:
        assert client.init().result
        client.search("@attr 1=1003 knuth", "we_cat")
        assert len(records(client.present(1, 1))) == 1
        report = client.ask(apdu.ResourceReportRequest(), apdu.ResourceReportResponse)
        assert report.resource_report is not None
        assert account.upper().encode() in report.resource_report.data


def test_a_login_that_is_sent_goes_before_the_certificate(
    server: RunningServer, certificates: Path
) -> None:
    with over_tls(server.z3950s, context(certificates, "named")) as client:
        assert not client.init("demo1/wrong").result
    with over_tls(server.z3950s, context(certificates, "named")) as client:
        assert client.init("demo3/demo3").result


def test_a_certificate_that_stands_for_nobody_is_anonymous(
    server: RunningServer, certificates: Path
) -> None:
    with over_tls(server.z3950s, context(certificates, "unknown")) as client:
        assert client.init().result
        client.search("@attr 1=1003 knuth", "we_cat")
        assert client.present(1, 1).present_status == apdu.PresentStatus.FAILURE


def test_a_certificate_of_an_account_that_is_gone_is_refused(
    server: RunningServer, certificates: Path
) -> None:
    with over_tls(server.z3950s, context(certificates, "ghost")) as client:
        assert not client.init().result


@pytest.mark.parametrize("certificate", ["foreign", "expired"])
def test_a_certificate_of_another_authority_or_past_its_end_gets_nobody_in(
    server: RunningServer, certificates: Path, certificate: str
) -> None:
    answer = None
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        over_tls(server.z3950s, context(certificates, certificate)) as client,
    ):
        client.send(init_request())
        answer = client.receive()
    assert answer is None


def test_plain_octets_on_the_tls_port_harm_nobody(
    server: RunningServer, certificates: Path
) -> None:
    host, port = server.z3950s.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as plain:
        plain.sendall(b"\xb4\x05\x83\x01\x00\x00\x00")
        plain.settimeout(20)
        while plain.recv(1024):
            pass
    with over_tls(server.z3950s, context(certificates)) as client:
        assert client.init("demo1/demo1").result


@pytest.mark.real_client
def test_yaz_client_speaks_tls(
    server: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    script = tmp_path / "commands"
    script.write_text(
        f"auth demo1/demo1\nopen ssl:{server.z3950s}/we_cat\nfind @attr 1=1003 knuth\n"
        "format usmarc\nshow 1\nquit\n"
    )
    done = subprocess.run(
        [client_program("yaz-client"), "-f", str(script)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Search was a success" in done.stdout, done.stdout
    assert "Knuth" in done.stdout


# Renewal

RENEWED_WITHIN_S = 20.0


def fingerprint(peer: str) -> str:
    """Of the certificate that the next connection is shown."""
    host, port = peer.rsplit(":", 1)
    return hashlib.sha256(ssl.get_server_certificate((host, int(port))).encode()).hexdigest()


def shown(server: RunningServer) -> set[str]:
    """The certificates of several connections, which are spread over the workers."""
    return {fingerprint(server.z3950s) for _ in range(12)}


def wait_for(server: RunningServer, text: str) -> None:
    deadline = time.monotonic() + RENEWED_WITHIN_S
    while text not in server.log:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.02)


def test_certificates_are_renewed_without_a_restart(certificates: Path, tmp_path: Path) -> None:
    folder = tmp_path
    for name in ("ca.pem", "ca.key", "server.pem", "server.key"):
        shutil.copy(certificates / name, folder / name)
    text = CONFIG.format(fingerprint="00").replace(
        "workers = 1", "workers = 2\nconnections_together = 1"
    )
    (folder / "config.toml").write_text(text, "utf-8")
    with (
        serving(folder / "config.toml") as server,
        over_tls(server.z3950s, context(folder)) as lasting,
    ):
        assert lasting.init().result
        [before] = shown(server)

        (folder / "server.pem").write_text("no certificate")
        server.process.send_signal(signal.SIGHUP)
        wait_for(server, "certificates not renewed")
        assert shown(server) == {before}

        issue(folder, "server", "127.0.0.1")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + RENEWED_WITHIN_S
        while before in (now := shown(server)):
            assert time.monotonic() < deadline, server.log
        assert len(now) == 1
        with over_tls(server.z3950s, context(folder)) as client:
            assert client.init().result

        # Who was there before is served on, and so are those on the plain port.
        assert lasting.search("x", "we_cat").search_status
        with connected(server.z3950) as plain:
            assert plain.search("x", "we_cat").search_status
        assert server.stop() == 0
    assert "process ended" not in server.log


def test_without_tls_a_hang_up_changes_nothing(tmp_path: Path) -> None:
    text = CONFIG.partition("[z3950.tls]")[0] + "[http]\nport = 0\n[access]\nanonymous = true\n"
    (tmp_path / "config.toml").write_text(text, "utf-8")
    with serving(tmp_path / "config.toml") as server:
        server.process.send_signal(signal.SIGHUP)
        wait_for(server, "TLS is not configured")
        with connected(server.z3950) as plain:
            assert plain.search("x", "we_cat").search_status
        assert server.stop() == 0


def test_the_demo_ends_with_its_terminal(tmp_path: Path) -> None:
    with running_demo(tmp_path) as server:
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(RENEWED_WITHIN_S) == 0


# Configuration


def test_without_a_certificate_there_is_no_tls(demo: RunningServer) -> None:
    assert server_context(Tls()) is None
    assert demo.z3950s == ""


def test_a_file_that_is_no_certificate_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"missing\.pem: No such file"):
        server_context(Tls(certificate=str(tmp_path / "missing.pem")))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(StartError, match=r"\[z3950.tls\] .*bad.pem"):
        server_context(Tls(certificate=str(tmp_path / "bad.pem")))


def test_client_certificates_need_an_authority(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[z3950.tls]\nclient_accounts = { a = "b" }\n')
    with pytest.raises(ConfigError, match="client_ca"):
        load_config(path)


def test_files_are_taken_from_the_configurations_folder(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[z3950.tls]\ncertificate = "server.pem"\n')
    tls = load_config(path).z3950.tls
    assert tls.certificate == str(tmp_path.resolve() / "server.pem")
    assert tls.key == ""
