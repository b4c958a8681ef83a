//! A certificate with the key that belongs to it, as two files hold them.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError as Reason, InconsistentKeys};
use thiserror::Error;
use zeroize::Zeroizing;

use super::TlsFiles;
use super::concern::Concern;
use super::validity::Validity;
use crate::oidc::issuer::Issuer;
use crate::oidc::opaque_token::TokenHash;

/// Why two files are no certificate and key.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("unable to read {} ({flag}); check that it is there and belongs to claviger", path.display())]
    Unreadable {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No certificate, or one that is cut off.
    #[error(
        "{} (--tls-cert) holds no certificate chain in PEM; it begins with -----BEGIN CERTIFICATE-----, claviger's own \
         certificate comes first",
        path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No private key.
    #[error(
        "{} (--tls-key) holds no private key in PEM that can be used: PKCS#8, PKCS#1 and SEC1 are taken, keys under a \
         passphrase are not",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Both are well, but not of each other.
    #[error(
        "the certificate in {} (--tls-cert) is not for the key in {} (--tls-key); give it the two that were made together",
        certificate.display(),
        key.display()
    )]
    Misfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The library does not take the certificate or the key.
    #[error("unable to use the certificate in {} with the key in {}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

impl CertificateError {
    pub(super) fn with_causes(&self) -> String {
        match self.source() {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

/// A certificate chain and its key. Has no `Debug`, since it holds the key.
pub struct Certificate {
    key: Arc<CertifiedKey>,
    validity: Option<Validity>,
    /// Of both files, by which a change is seen without keeping the key's bytes.
    digests: [TokenHash; 2],
}

impl Certificate {
    /// Reads both files and checks that they belong together.
    pub async fn read(files: &TlsFiles) -> Result<Self, CertificateError> {
        let certificate = contents("--tls-cert", &files.certificate).await?;
        let key = contents("--tls-key", &files.key).await?;
        let chain = CertificateDer::pem_slice_iter(&certificate)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| CertificateError::NoCertificate {
                path: files.certificate.clone(),
            })?;
        let validity = chain.first().and_then(|own| Validity::of(own));
        let private = PrivateKeyDer::from_pem_slice(&key).map_err(|_| CertificateError::NoKey {
            path: files.key.clone(),
        })?;
        let certified =
            CertifiedKey::from_der(chain, private, &rustls::crypto::aws_lc_rs::default_provider())
                .map_err(|source| unusable(files, source))?;
        Ok(Self {
            key: Arc::new(certified),
            validity,
            digests: [TokenHash::of(&certificate), TokenHash::of(&key)],
        })
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    pub(super) fn is_of_same_files(&self, other: &Self) -> bool {
        self.digests == other.digests
    }

    /// The end of its validity.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.validity.map(|validity| validity.not_after)
    }

    /// What browsers and apps will stumble on.
    pub fn concerns(&self, issuer: &Issuer, now: Timestamp) -> Vec<Concern> {
        let validity = self.validity.and_then(|validity| validity.concern(now));
        validity.into_iter().chain(self.misses(issuer)).collect()
    }

    /// RFC 9525: only the subject alternative names count.
    fn misses(&self, issuer: &Issuer) -> Option<Concern> {
        let host = issuer.host();
        let name = ServerName::try_from(host.as_str()).ok()?;
        let own = ParsedCertificate::try_from(self.key.end_entity_cert().ok()?).ok()?;
        let names = match verify_server_name(&own, &name) {
            Ok(()) => return None,
            Err(rustls::Error::InvalidCertificate(Reason::NotValidForNameContext { presented, .. })) => {
                presented
            }
            Err(_) => Vec::new(),
        };
        Some(Concern::DoesNotCover { host, names })
    }
}

async fn contents(flag: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    let bytes = tokio::fs::read(path).await;
    bytes
        .map(Zeroizing::new)
        .map_err(|source| CertificateError::Unreadable {
            flag,
            path: path.to_owned(),
            source,
        })
}

fn unusable(files: &TlsFiles, source: rustls::Error) -> CertificateError {
    let (certificate, key) = (files.certificate.clone(), files.key.clone());
    match source {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            CertificateError::Misfit { certificate, key }
        }
        source => CertificateError::Unusable {
            certificate,
            key,
            source,
        },
    }
}
