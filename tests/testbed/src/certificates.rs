//! Certificates by an authority of our own.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Year, month and day.
pub type Date = (i32, u8, u8);

/// Signs certificates.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

/// A certificate and its key in PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate().context("failed to make the authority's key")?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "testbed");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pem = params
            .self_signed(&key)
            .context("failed to sign the authority")?
            .pem();
        Ok(Self { params, key, pem })
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for names and addresses that does not expire.
    pub fn issue(&self, names: &[&str]) -> Result<Pair> {
        self.issue_for(names, (2020, 1, 1), (2049, 12, 31))
    }

    /// A certificate for names and addresses between two midnights.
    pub fn issue_for(&self, names: &[&str], from: Date, until: Date) -> Result<Pair> {
        let key = KeyPair::generate().context("failed to make a key")?;
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names)?;
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params
            .signed_by(&key, &Issuer::from_params(&self.params, &self.key))
            .context("failed to sign a certificate")?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
