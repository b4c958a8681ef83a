//! Whose certificates are believed: those of the system's CAs, and of the file that the administrator adds.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// The files are read again when what was read is older than this and somebody needs it.
const FRESH: Duration = Duration::from_mins(5);

/// Why nobody's certificate can be believed.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file.
    #[error("failed to read the CA certificates in {}: {reason}; --extra-ca names a file with certificates in PEM", path.display())]
    ExtraCa {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The machine has none, and no file adds any.
    #[error("there are no CA certificates to check an app's with; name some with --extra-ca")]
    None,
    /// The cryptographic library.
    #[error("failed to set up TLS: {0}")]
    Tls(rustls::Error),
}

/// The CAs, read again from time to time, since a mounted file changes.
pub struct Trust {
    extra_ca: Option<PathBuf>,
    read: Mutex<Option<(Instant, Arc<ClientConfig>)>>,
}

impl Trust {
    /// Those of the system, and those in the file.
    ///
    /// # Errors
    ///
    /// [`TrustError::ExtraCa`]: the file holds no certificate. That there are none at all is an error only when one is needed.
    pub fn open(extra_ca: Option<PathBuf>) -> Result<Self, TrustError> {
        let trust = Self {
            extra_ca,
            read: Mutex::new(None),
        };
        extra(trust.extra_ca.as_ref())?;
        Ok(trust)
    }

    /// How to speak TLS with an app.
    ///
    /// # Errors
    ///
    /// See [`TrustError`].
    pub async fn config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read, config)) = &known
            && read.elapsed() < FRESH
        {
            return Ok(Arc::clone(config));
        }
        let path = self.extra_ca.clone();
        let read = tokio::task::spawn_blocking(move || read(path.as_ref())).await;
        let config = match (read, known) {
            (Ok(Ok(config)), _) => config,
            // A file that is being replaced ends nothing that has worked.
            (Ok(Err(error)), Some((_, config))) => {
                tracing::warn!(%error, "going on with the CA certificates of before");
                config
            }
            (Ok(Err(error)), None) => return Err(error),
            (Err(_), _) => return Err(TrustError::None),
        };
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), Arc::clone(&config)));
        Ok(config)
    }
}

fn read(extra_ca: Option<&PathBuf>) -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(extra(extra_ca)?);
    if roots.is_empty() {
        return Err(TrustError::None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn extra(path: Option<&PathBuf>) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let failed = |reason: String| TrustError::ExtraCa {
        path: path.clone(),
        reason,
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates.clone());
    if added == 0 {
        return Err(failed("it holds no certificate".to_owned()));
    }
    Ok(certificates)
}
