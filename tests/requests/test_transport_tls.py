"""TLS with a real server on loopback: which certificates are trusted, and what is said about those that are not."""

import contextlib
import http.server
import threading

import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.loopback.process import serve
from semtel_dagster.requests.network import CERTIFICATE_VARIABLES, own_certificates
from semtel_dagster.requests.outcome import Kind
from tests.requests.builders import endpoint, plan, run, texts
from tests.requests.calling import finding, post
from tests.requests.certificates import certificate


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in CERTIFICATE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", CERTIFICATE_VARIABLES)
def test_an_authority_that_the_environment_names_is_trusted(secure, issued, monkeypatch, variable):
    monkeypatch.setenv(variable, str(issued.trusted))
    assert post(secure.base_url).kind is Kind.ANSWERED


def test_a_file_may_hold_many_authorities(secure, issued, monkeypatch, tmp_path):
    (tmp_path / "other").mkdir()
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificate(tmp_path / "other").trusted.read_bytes() + b"# ours\n" + issued.trusted.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert len(own_certificates()) == 2
    assert post(secure.base_url).kind is Kind.ANSWERED


def test_a_damaged_certificate_is_told_by_the_variable(monkeypatch, tmp_path):
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(damaged))
    found = finding("https://127.0.0.1:9/v1", tmp_path)
    assert (found.level, "SSL_CERT_FILE" in found.text) == ("error", True)


def test_a_run_goes_over_tls(secure, issued, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.trusted))
    table, _ = run(plan(tmp_path, endpoint(secure.base_url)), texts(50))
    assert table.column("status").unique().to_pylist() == ["answered"]


def test_an_unknown_authority_is_not_trusted_and_the_mend_is_told(secure, tmp_path):
    outcome = post(secure.base_url)
    assert (outcome.kind, outcome.code) == (Kind.UNUSABLE, "certificate_untrusted")
    found = finding(secure.base_url, tmp_path)
    assert found.level == "error"
    assert "SSL_CERT_FILE" in found.text


def test_a_certificate_for_another_host_is_told(secure, issued, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.trusted))
    elsewhere = secure.base_url.replace("127.0.0.1", "localhost")
    assert post(elsewhere).code == "certificate_wrong_host"
    assert "for another host name" in finding(elsewhere, tmp_path).text


def test_an_expired_certificate_is_told(monkeypatch, tmp_path):
    old = certificate(tmp_path, expired=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(old.trusted))
    with serve(certificate=old.pair, trusted=old.trusted) as server:
        assert post(server.base_url).code == "certificate_expired"
        assert "has expired" in finding(server.base_url, tmp_path).text


def test_https_where_plain_http_is_spoken_is_told(tmp_path):
    with plain_server() as address:
        assert post(f"https://{address}/v1").code == "no_tls"
        assert "write http://" in finding(f"https://{address}/v1", tmp_path).text


def test_http_where_tls_is_spoken_is_told(secure, tmp_path):
    plain = secure.base_url.replace("https://", "http://")
    assert "http:// or https:// right" in finding(plain, tmp_path).text


@pytest.mark.parametrize(("content", "what"), [(None, "is no file"), (b"not a certificate", "no PEM certificate")])
def test_certificates_that_cannot_be_read_are_told_with_the_variable(monkeypatch, tmp_path, content, what):
    named = tmp_path / "authority.pem"
    if content is not None:
        named.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(named))
    with pytest.raises(SettingsError, match=f"SSL_CERT_FILE names .*{what}"):
        own_certificates()
    assert "SSL_CERT_FILE" in finding("https://127.0.0.1:9/v1", tmp_path).text


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def plain_server():
    """A web server that answers 400 to what it does not understand, as most do."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{web.server_address[1]}"
        web.shutdown()
