//! TLS of claviger's own on the public port: a certificate and its key from two files, taken again when they change.
//!
//! Owns which certificate is served and what is wrong with it; [`super::server`] does the handshakes, so that its limits
//! on connections, heads, idle and slow peers and its graceful stop hold under TLS as they do without. (That is why
//! `axum-server` is not used here: it brings an accept loop of its own, without those limits.) Must not end the process
//! once it serves: files that cannot be used leave the certificate that is served in place.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use self::certificate::{Certificate, CertificateError};
pub use self::concern::Concern;
use crate::clock::Clock;
use crate::oidc::issuer::Issuer;

mod certificate;
mod concern;
mod validity;

/// How often the files are looked at. They are small, and the kubelet itself takes about a minute to show a changed
/// Secret in a pod.
const LOOK: Duration = Duration::from_secs(5);
/// How often a concern that stays is logged again.
const REPEAT: Duration = Duration::from_hours(24);

/// Where the certificate and its key are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain in PEM, claviger's own certificate first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// Why TLS cannot be served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The files.
    #[error(transparent)]
    Certificate(CertificateError),
    /// The TLS library refuses its settings.
    #[error("failed to set up TLS")]
    Settings(#[source] rustls::Error),
}

/// What became of a look at the files.
#[derive(Debug)]
pub enum Look {
    /// They are as they were.
    Unchanged,
    /// They changed, and what they hold now is served from the next handshake on.
    Taken,
    /// They cannot be used; the certificate from before is served on.
    Kept(CertificateError),
}

/// The certificate that is served, and the settings of every handshake.
pub struct Tls {
    files: TlsFiles,
    settings: Arc<ServerConfig>,
    served: Arc<Served>,
    /// What the files hold that was not taken.
    refused: RwLock<Option<String>>,
}

impl Tls {
    /// Reads the files.
    pub async fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let certificate = Certificate::read(&files).await.map_err(TlsError::Certificate)?;
        let served = Arc::new(Served(RwLock::new(Arc::new(certificate))));
        // All of this library's suites for both versions are AEAD; neither older versions nor other suites are in it.
        let mut settings = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsError::Settings)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&served) as Arc<dyn ResolvesServerCert>);
        settings.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            files,
            settings: Arc::new(settings),
            served,
            refused: RwLock::default(),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.settings))
    }

    /// The certificate of the next handshake.
    pub fn certificate(&self) -> Arc<Certificate> {
        self.served.get()
    }

    /// Takes the files if they changed and can be used.
    pub async fn look(&self) -> Look {
        let outcome = match Certificate::read(&self.files).await {
            Ok(certificate) if certificate.is_of_same_files(&self.certificate()) => Look::Unchanged,
            Ok(certificate) => {
                self.served.set(certificate);
                Look::Taken
            }
            Err(error) => Look::Kept(error),
        };
        *self.refused.write().unwrap_or_else(PoisonError::into_inner) = match &outcome {
            Look::Kept(error) => Some(error.with_causes()),
            Look::Unchanged | Look::Taken => None,
        };
        outcome
    }

    /// Everything that browsers and apps will stumble on, each with what to do about it; nothing when all is well.
    pub fn concerns(&self, issuer: &Issuer, now: Timestamp) -> Vec<Concern> {
        let refused = self
            .refused
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        refused
            .map(|reason| Concern::FilesNotTaken { reason })
            .into_iter()
            .chain(self.certificate().concerns(issuer, now))
            .collect()
    }

    /// Looks at the files until `stop`, takes what changes, and logs what is of concern when it begins and once a day.
    pub async fn watch(self: Arc<Self>, issuer: Issuer, clock: Arc<dyn Clock>, stop: CancellationToken) {
        let mut told: Vec<Concern> = Vec::new();
        let mut again = clock.now();
        loop {
            let now = clock.now();
            let concerns = self.concerns(&issuer, now);
            let repeat = now >= again;
            for concern in concerns
                .iter()
                .filter(|concern| repeat || !told.contains(concern))
            {
                tracing::warn!(certificate = %self.files.certificate.display(), "{concern}");
            }
            if repeat {
                again = crate::clock::later(now, REPEAT);
            }
            told = concerns;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
            if matches!(self.look().await, Look::Taken) {
                let until = self.certificate().not_after();
                tracing::info!(
                    certificate = %self.files.certificate.display(),
                    valid_until = until.map(tracing::field::display),
                    "serving the certificate that the changed files hold"
                );
            }
        }
    }
}

/// The certificate of the next handshake, whatever name is asked for: a client that asks for another one is told by the
/// certificate.
struct Served(RwLock<Arc<Certificate>>);

impl Served {
    fn get(&self) -> Arc<Certificate> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, certificate: Certificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }
}

/// The library asks for it; the key is not shown.
impl fmt::Debug for Served {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Served")
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get().key())
    }
}
