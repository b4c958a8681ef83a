//! Requests to where owners of clients say: the guard between a tenant's URI and a pod that may reach more than the tenant.
//!
//! A host is resolved once, each of its addresses must pass the [`guard`], and the connection is made to one of those very
//! addresses: a name that resolves to something else a moment later gains nothing. No redirect is followed, no proxy of the
//! environment is asked, and of an answer nothing is read but its head. What went wrong is for the log of whoever runs
//! claviger; told to the owner of the client it would say what answers inside.

pub mod guard;
pub mod resolver;
pub mod trust;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

use guard::{Guard, Refused};
use resolver::Resolve;
use trust::{Trust, TrustError};

/// A request takes this long at most, from the resolution to the head of the answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// One of several addresses is tried for this long.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// So many addresses of a host are tried.
const MOST_ADDRESSES: usize = 4;
/// The largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// Why a request was not answered.
#[derive(Debug, Error)]
pub enum EgressError {
    /// It is no URL that may be requested.
    #[error("the URL cannot be requested: {0}")]
    Url(&'static str),
    /// The host has no address.
    #[error("unable to resolve the host: {0}")]
    Resolve(String),
    /// The guard.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// None of the addresses takes connections.
    #[error("unable to connect: {0}")]
    Connect(String),
    /// No CA can be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The certificate, or whatever else is wrong with TLS.
    #[error("TLS failed: {0}")]
    Tls(std::io::Error),
    /// It is no HTTP.
    #[error("the answer cannot be read: {0}")]
    Http(hyper::Error),
    /// No answer came.
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Timeout,
}

/// Sends guarded requests.
pub struct Egress {
    guard: Guard,
    resolver: Arc<dyn Resolve>,
    trust: Trust,
}

impl Egress {
    /// `resolver` answers for names; what it says is checked by `guard`.
    pub fn new(guard: Guard, resolver: Arc<dyn Resolve>, trust: Trust) -> Self {
        Self {
            guard,
            resolver,
            trust,
        }
    }

    /// Posts a form of the media type `application/x-www-form-urlencoded`, and gives the status of the answer, whatever it is.
    ///
    /// # Errors
    ///
    /// The request was refused or not answered; see [`EgressError`].
    pub async fn post_form(&self, url: &str, form: String) -> Result<StatusCode, EgressError> {
        tokio::time::timeout(PATIENCE, self.post(url, form))
            .await
            .map_err(|_| EgressError::Timeout)?
    }

    async fn post(&self, url: &str, form: String) -> Result<StatusCode, EgressError> {
        let url = Url::parse(url).map_err(|_| EgressError::Url("it is no absolute URL"))?;
        let is_plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(EgressError::Url("its scheme is neither https nor http")),
        };
        let host = url.host().ok_or(EgressError::Url("it has no host"))?;
        let port = url
            .port_or_known_default()
            .ok_or(EgressError::Url("it has no port"))?;
        let addresses = self.addresses(&host, port).await?;
        if is_plain && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(EgressError::Url("plain http leads elsewhere than to loopback"));
        }
        let stream = connect(&addresses).await?;
        let request = request(&url, form)?;
        if is_plain {
            return exchange(stream, request).await;
        }
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.to_owned())
                .map_err(|_| EgressError::Url("no certificate can have its host"))?,
            Host::Ipv4(address) => ServerName::IpAddress(std::net::IpAddr::from(address).into()),
            Host::Ipv6(address) => ServerName::IpAddress(std::net::IpAddr::from(address).into()),
        };
        let stream = TlsConnector::from(self.trust.config().await?)
            .connect(name, stream)
            .await
            .map_err(EgressError::Tls)?;
        exchange(stream, request).await
    }

    /// The addresses of a host, each of which may be connected to. One that may not refuses them all: a host that names a
    /// public address and ours beside it means ours.
    async fn addresses(&self, host: &Host<&str>, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        let addresses = match host {
            Host::Domain(name) => self
                .resolver
                .resolve(name, port)
                .await
                .map_err(|error| EgressError::Resolve(error.to_string()))?,
            Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
            Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
        };
        if addresses.is_empty() {
            return Err(EgressError::Resolve("it has no address".to_owned()));
        }
        for address in &addresses {
            self.guard.check(address.ip())?;
        }
        Ok(addresses)
    }
}

/// To the first of the addresses that takes a connection; nothing is resolved here.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, EgressError> {
    let mut problem = String::new();
    for address in addresses.iter().take(MOST_ADDRESSES) {
        problem = match tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => format!("{address}: {error}"),
            Err(_) => format!("{address}: no answer"),
        };
    }
    Err(EgressError::Connect(problem))
}

fn request(url: &Url, form: String) -> Result<Request<Full<Bytes>>, EgressError> {
    let host = url.host_str().unwrap_or_default();
    let host = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let target = url.query().map_or_else(
        || url.path().to_owned(),
        |query| format!("{}?{query}", url.path()),
    );
    Request::post(target)
        .header(HOST, host)
        .header(USER_AGENT, "claviger")
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(form))
        .map_err(|_| EgressError::Url("it cannot be written into a request"))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, EgressError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(EgressError::Http)?;
    // Ends with this function: whatever follows the head is not read.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(EgressError::Http)?;
    Ok(response.status())
}
