//! Fetches the issuer's own documents as an app does, by the way that an app takes or by another one to the same place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::HOST;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::oidc::issuer::Issuer;

const PATIENCE: Duration = Duration::from_secs(10);
/// Larger than any of our documents.
const LARGEST: usize = 256 * 1024;

/// How the issuer is reached.
pub(super) struct Way<'a> {
    pub(super) issuer: &'a Issuer,
    /// Scheme, host and port to connect to instead of the issuer's own.
    pub(super) at: Option<&'a Url>,
    /// Certificates in PEM that are trusted beside those of the system, if the file is there.
    pub(super) ca_certificate: Option<&'a PathBuf>,
}

impl Way<'_> {
    /// The document under this path of the issuer.
    pub(super) async fn fetch(&self, path: &str) -> Result<Bytes, String> {
        tokio::time::timeout(PATIENCE, self.fetch_unbounded(path))
            .await
            .map_err(|_| format!("no answer within {} seconds", PATIENCE.as_secs()))?
    }

    async fn fetch_unbounded(&self, path: &str) -> Result<Bytes, String> {
        let url = Url::parse(&self.issuer.endpoint(path)).map_err(|error| error.to_string())?;
        let at = self.at.unwrap_or(&url);
        let host = at.host_str().ok_or("it has no host")?;
        let port = at.port_or_known_default().ok_or("it has no port")?;
        let stream = TcpStream::connect((without_brackets(host), port))
            .await
            .map_err(|error| format!("unable to connect to {host}, port {port}: {error}"))?;
        if at.scheme() == "http" {
            return get(stream, &url).await;
        }
        // Whatever the way, the certificate has to be the issuer's.
        let name = ServerName::try_from(self.issuer.host()).map_err(|error| error.to_string())?;
        let stream = self.connector()?.connect(name, stream).await.map_err(|error| {
            let absent = self.ca_certificate.filter(|path| !path.exists());
            let absent = absent.map_or_else(String::new, |path| format!(" (there is no {})", path.display()));
            format!("TLS with {host} failed: {error}; apps need the CA that signed its certificate{absent}")
        })?;
        get(stream, &url).await
    }

    /// Trusts what the system trusts, or what `SSL_CERT_FILE` names, and the file.
    fn connector(&self) -> Result<TlsConnector, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = self.ca_certificate.filter(|path| path.exists()) {
            let unreadable = |error| format!("unable to read {}: {error}", path.display());
            let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .map_err(unreadable)?;
            roots.add_parsable_certificates(certificates);
        }
        if roots.is_empty() {
            return Err("there are no CA certificates to check the issuer's with".to_owned());
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// An IPv6 address is written in brackets in a URL, and without them everywhere else.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn get<S>(stream: S, url: &Url) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default();
    let host = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let request = Request::get(url.path())
        .header(HOST, host)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async move {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("{url} answers {status}"));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| error.to_string())
    };
    let (outcome, _ended) = tokio::join!(exchange, connection);
    outcome
}
