//! TLS of claviger's own on the public port, over real sockets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use claviger::http::server::{Bounds, serve, serve_over};
use claviger::http::tls::{Concern, Look, Tls, TlsFiles};
use claviger::oidc::issuer::Issuer;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use testbed::certificates::{Authority, Pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::app::TestApp;

const HOST: &str = "id.example.org";
const HSTS: &str = "strict-transport-security: max-age=31536000";

/// A certificate and its key as files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(pair: &Pair) -> Self {
        let files = Self {
            folder: TempDir::new().unwrap(),
        };
        files.write(&pair.certificate, &pair.key);
        files
    }

    fn write(&self, certificate: &str, key: &str) {
        std::fs::write(self.paths().certificate, certificate).unwrap();
        std::fs::write(self.paths().key, key).unwrap();
    }

    fn paths(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.path("tls.crt"),
            key: self.path("tls.key"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn open(&self) -> Arc<Tls> {
        Arc::new(Tls::open(self.paths()).await.unwrap())
    }

    async fn refusal(&self) -> String {
        let Err(error) = Tls::open(self.paths()).await else {
            panic!("these files are taken");
        };
        format!("{:#}", anyhow::Error::new(error))
    }
}

/// The app of the other tests, over TLS.
struct Server {
    address: SocketAddr,
    authority: Authority,
    files: Files,
    tls: Arc<Tls>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(bounds: Bounds) -> Self {
        let authority = Authority::new().unwrap();
        let files = Files::new(&authority.issue(&[HOST]).unwrap());
        let tls = files.open().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = TestApp::with_shop_and_ada().await.router.clone();
        let stop = CancellationToken::new();
        let serving = serve_over(listener, Some(Arc::clone(&tls)), router, stop.clone(), bounds);
        Self {
            address,
            authority,
            files,
            tls,
            stop,
            task: tokio::spawn(serving),
        }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_with(rustls::ALL_VERSIONS).await
    }

    async fn connect_with(&self, versions: &[&'static SupportedProtocolVersion]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from(HOST).unwrap(), stream)
            .await
            .unwrap()
    }

    /// The certificate of a new connection.
    async fn shown(&self) -> CertificateDer<'static> {
        let stream = self.connect().await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }

    /// Sends bytes without TLS and gives everything that comes back.
    async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n").into_bytes()
}

async fn exchange(mut stream: TlsStream<TcpStream>, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn served(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()
}

/// A `ClientHello` as of old: a version, cipher suites, and the groups and signature algorithms of today.
fn client_hello(version: [u8; 2], suites: &[u16]) -> Vec<u8> {
    let extensions: Vec<u8> = [
        [0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17].as_slice(),
        &[0x00, 0x0b, 0x00, 0x02, 0x01, 0x00],
        &[0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03],
    ]
    .concat();
    let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(length(2 * suites.len()));
    for suite in suites {
        body.extend(suite.to_be_bytes());
    }
    body.extend([1, 0]);
    body.extend(length(extensions.len()));
    body.extend(extensions);
    let mut record = vec![0x16, 0x03, 0x01];
    record.extend(length(body.len() + 4));
    record.extend([0x01, 0x00]);
    record.extend(length(body.len()));
    record.extend(body);
    record
}

/// TLS is 1.2 or 1.3 with AEAD suites; older versions, suites that are not AEAD, and plain http are refused. (That health
/// and metrics have a port of their own is shown by `health.rs` and the chart's tests.)
#[tokio::test]
async fn rule_90_tls_is_recent_and_aead() {
    const AES_GCM: u16 = 0xc02b;
    const CBC_SUITES: [u16; 5] = [0xc009, 0xc00a, 0xc013, 0x002f, 0x0035];
    let server = Server::start(Bounds::default()).await;
    for (version, expected) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let stream = server.connect_with(&[version]).await;
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(expected));
        let suite = format!("{:?}", session.negotiated_cipher_suite().unwrap().suite());
        assert!(
            suite.contains("GCM") || suite.contains("CHACHA20_POLY1305"),
            "{suite}"
        );
        let answer = exchange(stream, &get("/.well-known/jwks.json")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // The same hello is answered with a ServerHello (22) or an alert (21).
    let taken = client_hello([3, 3], &[AES_GCM]);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&taken).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 22);
    drop(stream);
    for (version, suites) in [
        ([3, 3], CBC_SUITES.as_slice()),
        ([3, 2], &[AES_GCM]),
        ([3, 1], &[AES_GCM]),
    ] {
        let answer = server.raw(&client_hello(version, suites)).await;
        assert_eq!(answer[0], 21, "{version:?}: {answer:?}");
    }
    let answer = server.raw(&get("/.well-known/jwks.json")).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.ends_with("this port speaks https only"),
        "{answer}"
    );
    server.end().await;
}

/// Where TLS is ours, every response has Strict-Transport-Security: pages, documents, refusals and what is not there.
/// Where it is not, documents leave it to whoever ends TLS.
#[tokio::test]
async fn rule_77_every_response_over_our_tls_has_hsts() {
    let server = Server::start(Bounds::default()).await;
    for (path, status) in [
        ("/.well-known/openid-configuration", 200),
        ("/", 200),
        ("/authorize", 400),
        ("/api/userinfo", 401),
        ("/nowhere", 404),
    ] {
        let answer = exchange(server.connect().await, &get(path)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{path}: {answer}"
        );
        assert_eq!(answer.matches(HSTS).count(), 1, "{path}: {answer}");
    }
    server.end().await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = TestApp::with_shop_and_ada().await.router.clone();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, router, stop.clone(), Bounds::default()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&get("/.well-known/jwks.json")).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && !answer.contains(HSTS),
        "{answer}"
    );
    stop.cancel();
    task.await.unwrap();
}

/// The limits hold under TLS: a handshake that does not end is cut off, a head that does not end is 408, a place is free
/// again after both, and a stop finishes what was begun.
#[tokio::test]
async fn rule_80_slow_peers_are_cut_off_under_tls() {
    let server = Server::start(Bounds {
        connections: 1,
        handshake: Duration::from_millis(50),
        ..Bounds::default()
    })
    .await;
    for begun in [b"".as_slice(), b"\x16\x03\x01\x02\x00\x01"] {
        let answer = server.raw(begun).await;
        assert!(answer.is_empty(), "{answer:?}");
    }
    server.end().await;

    let server = Server::start(Bounds {
        connections: 1,
        head: Duration::from_millis(200),
        ..Bounds::default()
    })
    .await;
    let answer = exchange(server.connect().await, b"GET / HTTP/1.1\r\nhost:").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(exchange(server.connect().await, b"").await, "");
    server.end().await;

    let server = Server::start(Bounds::default()).await;
    let mut busy = server.connect().await;
    busy.write_all(
        b"POST /api/token/v2 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
          content-type: application/x-www-form-urlencoded\r\ncontent-length: 3\r\n\r\n",
    )
    .await
    .unwrap();
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).await.unwrap();
    // Connected, and silent for the rest of its life.
    let silent = TcpStream::connect(server.address).await.unwrap();
    server.stop.cancel();
    let answer = exchange(busy, b"a=1").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    server.task.await.unwrap();
    drop(silent);
}

/// A changed certificate is served from the next handshake on, and connections from before go on; files that cannot be
/// used change nothing, and are told of until they are well again.
#[tokio::test]
async fn a_changed_certificate_is_taken_and_a_bad_one_is_not() {
    let server = Server::start(Bounds::default()).await;
    let issuer = Issuer::parse("https://id.example.org").unwrap();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let first = server.shown().await;
    let old = server.connect().await;
    assert!(matches!(server.tls.look().await, Look::Unchanged));

    let second = server.authority.issue(&[HOST]).unwrap();
    server.files.write(&second.certificate, &second.key);
    assert!(matches!(server.tls.look().await, Look::Taken));
    assert_eq!(server.shown().await, served(&second));
    assert_ne!(server.shown().await, first);
    let answer = exchange(old, &get("/.well-known/jwks.json")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.tls.concerns(&issuer, now), []);

    let third = server.authority.issue(&[HOST]).unwrap();
    for (certificate, key, what) in [
        (
            third.certificate.as_str(),
            second.key.as_str(),
            "is not for the key in",
        ),
        ("", &third.key, "holds no certificate chain in PEM"),
        (&third.certificate, "garbage", "holds no private key in PEM"),
    ] {
        server.files.write(certificate, key);
        assert!(matches!(server.tls.look().await, Look::Kept(_)), "{what}");
        assert_eq!(server.shown().await, served(&second));
        let [Concern::FilesNotTaken { reason }] = &server.tls.concerns(&issuer, now)[..] else {
            panic!("{:?}", server.tls.concerns(&issuer, now));
        };
        assert!(reason.contains(what) && !reason.contains("garbage"), "{reason}");
    }
    std::fs::remove_file(server.files.path("tls.crt")).unwrap();
    assert!(matches!(server.tls.look().await, Look::Kept(_)));

    server.files.write(&third.certificate, &third.key);
    assert!(matches!(server.tls.look().await, Look::Taken));
    assert_eq!(server.shown().await, served(&third));
    assert_eq!(server.tls.concerns(&issuer, now), []);
    server.end().await;
}

/// What browsers would stumble on is said with what to do about it.
#[tokio::test]
async fn an_expired_or_misfit_certificate_is_named() {
    let authority = Authority::new().unwrap();
    let issue = |names: &[&str]| authority.issue_for(names, (2026, 1, 1), (2026, 4, 1)).unwrap();
    let wildcard = "*.example.org";
    for (names, issuer, now, expected) in [
        (
            &[HOST][..],
            "https://id.example.org/sso",
            "2026-02-01T00:00:00Z",
            None,
        ),
        (
            &[wildcard],
            "https://id.example.org:8443",
            "2026-02-01T00:00:00Z",
            None,
        ),
        (&["192.0.2.7"], "https://192.0.2.7", "2026-02-01T00:00:00Z", None),
        (
            &["2001:db8::7"],
            "https://[2001:db8::7]",
            "2026-02-01T00:00:00Z",
            None,
        ),
        (
            &[HOST],
            "https://id.example.org",
            "2026-05-01T00:00:00Z",
            Some("the certificate expired at 2026-04-01T00:00:00Z"),
        ),
        (
            &[HOST],
            "https://id.example.org",
            "2026-03-25T00:00:00Z",
            Some("the certificate expires at 2026-04-01T00:00:00Z: renew it"),
        ),
        (
            &[HOST],
            "https://id.example.org",
            "2025-12-01T00:00:00Z",
            Some("valid only from 2026-01-01T00:00:00Z on"),
        ),
        (
            &["www.example.org", wildcard],
            "https://a.b.example.org",
            "2026-02-01T00:00:00Z",
            Some("not for the issuer's host a.b.example.org but for"),
        ),
        (
            &[HOST],
            "https://192.0.2.7",
            "2026-02-01T00:00:00Z",
            Some("not for the issuer's host 192.0.2.7"),
        ),
    ] {
        let tls = Files::new(&issue(names)).open().await;
        let concerns = tls.concerns(&Issuer::parse(issuer).unwrap(), now.parse().unwrap());
        let texts = concerns.iter().map(ToString::to_string).collect::<Vec<_>>();
        match expected {
            None => assert_eq!(texts, [""; 0], "{issuer} {now}"),
            Some(words) => {
                assert_eq!(texts.len(), 1, "{texts:?}");
                assert!(texts[0].contains(words), "{texts:?}");
            }
        }
    }
}

/// Files that are no certificate and key are refused with the file, the flag and what to do, and never quoted.
#[tokio::test]
async fn files_that_cannot_be_used_are_refused() {
    let authority = Authority::new().unwrap();
    let pair = authority.issue(&[HOST]).unwrap();
    let other = authority.issue(&[HOST]).unwrap();
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let broken = "-----BEGIN CERTIFICATE-----\nbWFya2Vk\n-----END CERTIFICATE-----\n";
    for (certificate, key, parts) in [
        (
            String::new(),
            pair.key.clone(),
            [
                "tls.crt (--tls-cert) holds no certificate chain in PEM",
                "-----BEGIN",
            ],
        ),
        (
            pair.key.clone(),
            pair.certificate.clone(),
            [
                "tls.crt (--tls-cert) holds no certificate chain in PEM",
                "comes first",
            ],
        ),
        (
            half(&pair.certificate),
            pair.key.clone(),
            [
                "tls.crt (--tls-cert) holds no certificate chain in PEM",
                "comes first",
            ],
        ),
        (
            pair.certificate.clone(),
            half(&pair.key),
            [
                "tls.key (--tls-key) holds no private key in PEM",
                "under a passphrase",
            ],
        ),
        (
            pair.certificate.clone(),
            other.key.clone(),
            ["is not for the key in", "made together"],
        ),
        (
            broken.to_owned(),
            pair.key.clone(),
            ["unable to use the certificate in", "with the key in"],
        ),
    ] {
        let files = Files::new(&Pair { certificate, key });
        let said = files.refusal().await;
        for part in parts {
            assert!(said.contains(part), "no `{part}` in `{said}`");
        }
        assert!(!said.contains('\n') && !said.contains("bWFya2Vk"), "{said}");
    }
    let files = Files::new(&pair);
    std::fs::remove_file(files.path("tls.key")).unwrap();
    let said = files.refusal().await;
    assert!(
        said.contains("unable to read")
            && said.contains("tls.key (--tls-key)")
            && said.contains("No such file"),
        "{said}"
    );
    // A chain, with the authority after claviger's own.
    files.write(&format!("{}{}", pair.certificate, authority.pem()), &pair.key);
    files.open().await;
}
