//! What leaves for where owners of clients say, over real sockets: the guard of rule 83. Which addresses are refused is in
//! `src/egress/guard.rs`; here is that nothing gets past it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use claviger::egress::guard::Guard;
use claviger::egress::resolver::Resolve;
use claviger::egress::trust::Trust;
use claviger::egress::{Egress, EgressError};
use http::StatusCode;
use tempfile::TempDir;
use testbed::certificates::Authority;
use testbed::poll;
use testbed::tls_receiver::{Answer, TlsReceiver};
use tokio::net::TcpListener;

use std::time::Duration;

const HOST: &str = "shop.example.org";
const PATIENCE: Duration = Duration::from_mins(1);

/// A name server that answers each question with the next of its answers, the last one from then on.
pub(crate) struct Names {
    answers: Mutex<VecDeque<Vec<SocketAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn new(answers: impl IntoIterator<Item = Vec<SocketAddr>>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        match answers.len() {
            0 => Err(io::Error::other("no such host")),
            1 => Ok(answers[0].clone()),
            _ => Ok(answers.pop_front().unwrap()),
        }
    }
}

/// Whom an egress trusts, and what signs the certificates of apps.
pub(crate) struct Ca {
    pub(crate) authority: Authority,
    folder: TempDir,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let authority = Authority::new().unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
        Self { authority, folder }
    }

    pub(crate) async fn receiver(&self, answer: Answer) -> TlsReceiver {
        let pair = self.authority.issue(&[HOST, "127.0.0.1"]).unwrap();
        TlsReceiver::start(&pair, answer).await.unwrap()
    }

    /// An egress that trusts the CA and may reach `allowed`.
    pub(crate) fn egress(&self, allowed: &[&str], names: &Arc<Names>) -> Egress {
        let allowed = allowed.iter().map(|range| range.parse().unwrap()).collect();
        let trust = Trust::open(Some(self.folder.path().join("ca.crt"))).unwrap();
        let names: Arc<dyn Resolve> = names.clone();
        Egress::new(Guard::new(allowed, None), names, trust)
    }
}

async fn post(egress: &Egress, url: &str) -> Result<StatusCode, EgressError> {
    egress.post_form(url, "a=b".to_owned()).await
}

/// A listener that must not be connected to, at an address that is refused.
async fn inside() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn assert_untouched(listener: &TcpListener) {
    let connects = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(connects.is_err(), "somebody connected");
}

/// The request goes to the very address that was checked: a name that leads elsewhere a moment later is not asked again.
#[tokio::test]
async fn rule_83_the_connection_is_pinned_to_the_address_that_was_checked() {
    let ca = Ca::new();
    let mut app = ca.receiver(Answer::Status(200)).await;
    let (inner, inside) = inside().await;
    let names = Names::new([vec![app.address()], vec![inside]]);
    let egress = ca.egress(&["127.0.0.1"], &names);
    assert_eq!(
        post(&egress, "https://shop.example.org/path?query")
            .await
            .unwrap(),
        StatusCode::OK
    );
    let posted = app.next().await.unwrap();
    assert!(
        posted.head.starts_with("POST /path?query HTTP/1.1\r\n"),
        "{}",
        posted.head
    );
    assert_eq!(posted.header("host"), Some(HOST));
    assert_eq!(
        posted.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(posted.body, "a=b");
    assert_eq!(names.asked(), 1);
    // And when it is asked anew, it is checked anew.
    let refused = post(&egress, "https://shop.example.org/").await.unwrap_err();
    assert!(matches!(refused, EgressError::Refused(_)), "{refused}");
    assert_eq!(app.connections(), 1);
    assert_untouched(&inner).await;
}

/// One address that is refused refuses them all, wherever it stands; an address in the URL is checked like any other,
/// however it is written.
#[tokio::test]
async fn rule_83_no_address_gets_past_the_guard() {
    let ca = Ca::new();
    let app = ca.receiver(Answer::Status(200)).await;
    let (inner, inside) = inside().await;
    for answer in [vec![app.address(), inside], vec![inside, app.address()]] {
        let egress = ca.egress(&["127.0.0.1"], &Names::new([answer]));
        let refused = post(&egress, "https://shop.example.org/").await.unwrap_err();
        assert!(matches!(refused, EgressError::Refused(_)), "{refused}");
    }
    let names = Names::new([vec![inside]]);
    let egress = ca.egress(&["127.0.0.1"], &names);
    let port = inside.port();
    for host in [
        "127.0.0.2",
        "127.2",
        "0x7f.0.0.2",
        "2130706434",
        "0177.0.0.2",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[::127.0.0.2]",
        "[64:ff9b::127.0.0.2]",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.96.0.1",
    ] {
        for scheme in ["https", "http"] {
            let refused = post(&egress, &format!("{scheme}://{host}:{port}/"))
                .await
                .unwrap_err();
            assert!(
                matches!(refused, EgressError::Refused(_)),
                "{scheme}://{host}: {refused}"
            );
        }
    }
    assert_eq!((names.asked(), app.connections()), (0, 0));
    assert_untouched(&inner).await;
}

/// Where an app sends whoever asks is not gone to.
#[tokio::test]
async fn rule_83_redirects_are_not_followed() {
    let ca = Ca::new();
    let (inner, inside) = inside().await;
    let app = ca.receiver(Answer::Redirect(format!("https://{inside}/"))).await;
    let egress = ca.egress(&["127.0.0.0/8"], &Names::new([vec![app.address()]]));
    let status = post(&egress, "https://shop.example.org/").await.unwrap();
    assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
    assert_untouched(&inner).await;
}

/// An answer is read to the end of its head, which is bounded; what would never end is cut off.
#[tokio::test]
async fn rule_83_an_answer_is_bounded() {
    let ca = Ca::new();
    for (answer, expected) in [
        (Answer::EndlessBody, Some(StatusCode::OK)),
        (Answer::EndlessHead, None),
    ] {
        let app = ca.receiver(answer.clone()).await;
        let egress = ca.egress(&["127.0.0.1"], &Names::new([vec![app.address()]]));
        let outcome = post(&egress, "https://shop.example.org/").await;
        assert_eq!(
            outcome.as_ref().ok().copied(),
            expected,
            "{answer:?}: {outcome:?}"
        );
        if let Err(error) = outcome {
            assert!(matches!(error, EgressError::Http(_)), "{error}");
        }
        poll::until("the answer to be cut off", PATIENCE, async || {
            Ok((app.cut_off() == 1).then_some(()))
        })
        .await
        .unwrap();
        // The rest is what sockets hold on the way.
        assert!(
            app.written() < 64 << 20,
            "{answer:?}: {} bytes were taken",
            app.written()
        );
    }
}

/// An app that takes the request and never answers is left alone after a while.
#[tokio::test]
async fn rule_83_nobody_waits_for_an_answer_that_does_not_come() {
    let ca = Ca::new();
    let app = ca.receiver(Answer::Never).await;
    let egress = ca.egress(&["127.0.0.1"], &Names::new([vec![app.address()]]));
    let error = post(&egress, "https://shop.example.org/").await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout), "{error}");
    assert_eq!(app.connections(), 1);
}

/// A certificate counts by a CA that is trusted, and for the host of the URL; plain http is for loopback alone.
#[tokio::test]
async fn rule_83_the_app_is_authenticated() {
    let (ca, other) = (Ca::new(), Ca::new());
    let mut app = ca.receiver(Answer::Status(200)).await;
    let address = app.address();
    let names = Names::new([vec![address]]);
    let egress = ca.egress(&["127.0.0.1"], &names);
    for (egress, url) in [
        (&other.egress(&["127.0.0.1"], &names), "https://shop.example.org/"),
        (&egress, "https://blog.example.org/"),
    ] {
        let error = post(egress, url).await.unwrap_err();
        assert!(matches!(error, EgressError::Tls(_)), "{error}");
    }
    assert!(app.waiting().is_none());
    assert_eq!(
        post(&egress, &format!("https://{address}/")).await.unwrap(),
        StatusCode::OK
    );
    assert_eq!(
        app.next().await.unwrap().header("host"),
        Some(&*address.to_string())
    );

    let public = Names::new([vec!["1.1.1.1:80".parse().unwrap()]]);
    for (egress, url) in [
        (&ca.egress(&[], &public), "http://localhost/"),
        (&egress, "ftp://shop.example.org/"),
        (&egress, "shop.example.org"),
    ] {
        let error = post(egress, url).await.unwrap_err();
        assert!(matches!(error, EgressError::Url(_)), "{url}: {error}");
    }
    let error = post(&ca.egress(&[], &Names::new([])), "https://shop.example.org/")
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::Resolve(_)), "{error}");
}

/// A file of CAs that cannot be used is named at the start.
#[test]
fn a_file_without_certificates_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ca.crt");
    for (text, part) in [(None, "No such file"), (Some("x"), "it holds no certificate")] {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let error = Trust::open(Some(path.clone())).err().unwrap().to_string();
        assert!(
            error.contains(part) && error.contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}
