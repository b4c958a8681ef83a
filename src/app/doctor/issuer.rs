//! Fetches the issuer's own documents as an app of this cluster would, and compares them with what is served here.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::HOST;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::admin::report::Check;
use crate::oidc::discovery::{CONFIGURATION_PATH, JWKS_PATH};
use crate::oidc::issuer::Issuer;

const PATIENCE: Duration = Duration::from_secs(10);
/// Larger than any of our documents.
const LARGEST: usize = 256 * 1024;

/// Whether apps inside the cluster reach the issuer, whether it names itself, and whether it is this process that answers.
pub(super) async fn examine(issuer: &Issuer, own_jwks: Option<&[u8]>) -> Vec<Check> {
    vec![names_itself(issuer).await, shows_our_keys(issuer, own_jwks).await]
}

async fn names_itself(issuer: &Issuer) -> Check {
    const NAME: &str = "issuer";
    let outside = format!(
        "from outside the cluster: curl -fsS {}, whose issuer must read {issuer}",
        issuer.endpoint(CONFIGURATION_PATH)
    );
    let inside = format!(
        "look where {} leads from inside the cluster (its DNS record, the Service, Ingress or Gateway in front), then {outside}",
        issuer.host()
    );
    let document = match fetch(issuer, CONFIGURATION_PATH).await {
        Ok(document) => document,
        Err(reason) => {
            return Check::failed(NAME, format!("{issuer} cannot be used from inside: {reason}"))
                .next(inside);
        }
    };
    let named = serde_json::from_slice::<Value>(&document)
        .ok()
        .and_then(|document| Some(document.get("issuer")?.as_str()?.to_owned()));
    match named {
        Some(named) if named == issuer.as_str() => {
            Check::ok(NAME, format!("{issuer} answers from inside and names itself")).next(outside)
        }
        Some(named) => Check::failed(NAME, format!("{issuer} leads to another issuer, {named}")).next(inside),
        None => Check::failed(
            NAME,
            format!("{issuer} leads to something that is no OpenID Provider"),
        )
        .next(inside),
    }
}

async fn shows_our_keys(issuer: &Issuer, own: Option<&[u8]>) -> Check {
    const NAME: &str = "published keys";
    let next =
        "another claviger may answer there, or a proxy that keeps the JWK Set for longer than its max-age";
    let Some(own) = own else {
        return Check::failed(NAME, "the keyring is not open");
    };
    match fetch(issuer, JWKS_PATH).await {
        Err(reason) => Check::failed(NAME, format!("unable to fetch the JWK Set: {reason}")),
        Ok(shown) if kids(&shown) == kids(own) => {
            Check::ok(NAME, "the issuer shows the keys of this claviger")
        }
        Ok(_) => Check::warning(NAME, "the issuer shows other keys than those of this claviger").next(next),
    }
}

fn kids(jwks: &[u8]) -> Option<Vec<String>> {
    let set: Value = serde_json::from_slice(jwks).ok()?;
    let keys = set.get("keys")?.as_array()?;
    keys.iter()
        .map(|key| key.get("kid")?.as_str().map(str::to_owned))
        .collect()
}

async fn fetch(issuer: &Issuer, path: &str) -> Result<Bytes, String> {
    tokio::time::timeout(PATIENCE, fetch_unbounded(issuer, path))
        .await
        .map_err(|_| format!("no answer within {} seconds", PATIENCE.as_secs()))?
}

async fn fetch_unbounded(issuer: &Issuer, path: &str) -> Result<Bytes, String> {
    let url = url::Url::parse(&issuer.endpoint(path)).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("it has no host")?;
    let port = url.port_or_known_default().ok_or("it has no port")?;
    // An IPv6 address is written in brackets in a URL, and without them everywhere else.
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((address, port))
        .await
        .map_err(|error| format!("unable to connect to {host}, port {port}: {error}"))?;
    if issuer.is_plain_http() {
        return get(stream, &url).await;
    }
    let name = ServerName::try_from(address.to_owned()).map_err(|error| error.to_string())?;
    let stream = connector()?.connect(name, stream).await.map_err(|error| {
        format!("TLS with {host} failed: {error}; apps need the CA that signed its certificate")
    })?;
    get(stream, &url).await
}

/// Trusts what the system trusts, or what `SSL_CERT_FILE` names.
fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system has no CA certificates to check the issuer's with".to_owned());
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn get<S>(stream: S, url: &url::Url) -> Result<Bytes, String>
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
