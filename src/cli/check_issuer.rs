//! `claviger check-issuer`: whether an issuer answers where it is said to, without a running claviger beside it.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::output::print;
use crate::app;
use crate::oidc::issuer::Issuer;

/// Arguments of `claviger check-issuer`.
#[derive(Debug, Args)]
pub struct CheckIssuerArgs {
    /// The issuer, exactly as apps compare it
    #[arg(value_parser = Issuer::parse)]
    issuer: Issuer,

    /// Connect there, as to `http://claviger.claviger.svc`, and not where the issuer's own name leads: past its DNS record and
    /// the Ingress or Gateway in front. With https the certificate has to be the issuer's all the same
    #[arg(long, value_name = "URL", value_parser = place)]
    at: Option<Url>,

    /// Certificates in PEM that are trusted beside those of the system, if there is such a file
    #[arg(long, value_name = "PATH")]
    ca_certificate: Option<PathBuf>,
}

/// Runs the subcommand.
pub async fn run(arguments: &CheckIssuerArgs) -> anyhow::Result<()> {
    let CheckIssuerArgs {
        issuer,
        at,
        ca_certificate,
    } = arguments;
    let keys = app::check_issuer(issuer, at.as_ref(), ca_certificate.as_ref())
        .await
        .map_err(anyhow::Error::msg)?;
    let at = at.as_ref();
    let place = at.map_or_else(String::new, |at| {
        format!(" at {}", at.as_str().trim_end_matches('/'))
    });
    print(&format!(
        "{issuer} answers{place} and names itself; its JWK Set shows {keys} keys\n"
    ))
}

/// A URL that says where to connect and nothing more.
fn place(text: &str) -> Result<Url, String> {
    let usage =
        || format!("`{text}` is no place to connect to; write it like http://claviger.claviger.svc:80");
    let url = Url::parse(text).map_err(|_| usage())?;
    let connects = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_all = url.path() == "/" && !text.contains(['?', '#', '@']);
    if connects && is_all { Ok(url) } else { Err(usage()) }
}
