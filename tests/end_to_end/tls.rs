//! The built program with TLS of its own: files as the kubelet shows a Secret, changed while it serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use testbed::certificates::{Authority, Pair};
use testbed::folder::Folder;
use testbed::poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{PATIENCE, StoreKind, World};
use crate::launch::{Start, program};

const HOST: &str = "127.0.0.1";

/// A volume of a Secret: the files are links through `..data`, which is replaced in one step.
struct Volume {
    folder: Folder,
}

impl Volume {
    fn new(pair: &Pair) -> Self {
        let volume = Self {
            folder: Folder::new("tls").unwrap(),
        };
        volume.show("first", &pair.certificate, &pair.key);
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), volume.folder.join(name)).unwrap();
        }
        volume
    }

    fn show(&self, version: &str, certificate: &str, key: &str) {
        fs::create_dir(self.folder.join(version)).unwrap();
        fs::write(self.folder.join(&format!("{version}/tls.crt")), certificate).unwrap();
        fs::write(self.folder.join(&format!("{version}/tls.key")), key).unwrap();
        symlink(version, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
    }

    fn paths(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("tls.crt"), self.folder.join("tls.key"))
    }
}

/// What a client that trusts the authority gets: the certificate and the answer.
async fn fetch(authority: &Authority, port: u16, path: &str) -> anyhow::Result<(Vec<u8>, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect((HOST, port)).await?;
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(HOST)?, stream)
        .await?;
    let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {HOST}:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok((certificate, answer))
}

fn der(pair: &Pair) -> Vec<u8> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes())
        .unwrap()
        .to_vec()
}

/// claviger serves its issuer over TLS of its own, takes a renewed certificate without a restart, keeps what it has when
/// the new one is no good, and says so; the second port stays plain http.
#[tokio::test]
async fn a_certificate_is_renewed_while_claviger_serves() {
    let authority = Authority::new().unwrap();
    let first = authority.issue(&[HOST]).unwrap();
    let volume = Volume::new(&first);
    // Readiness is asked for on the second port, over http.
    let served = World::shared()
        .serve_with(StoreKind::Memory, |options| options.tls = Some(volume.paths()))
        .await;
    let port = served.port();
    let issuer = served.claviger.issuer();
    assert!(issuer.starts_with("https://127.0.0.1:"), "{issuer}");
    let (certificate, answer) = fetch(&authority, port, "/.well-known/openid-configuration")
        .await
        .unwrap();
    assert_eq!(certificate, der(&first));
    assert!(answer.contains(&format!("\"issuer\":\"{issuer}\"")), "{answer}");
    assert!(answer.contains("strict-transport-security: "), "{answer}");

    let metrics = reqwest::get(served.claviger.admin_url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let until = "claviger_tls_certificate_not_after_timestamp_seconds ";
    assert!(metrics.lines().any(|line| line.starts_with(until)), "{metrics}");

    let other = authority.issue(&[HOST]).unwrap();
    volume.show("misfit", &other.certificate, &first.key);
    poll::until("the misfit to be told of", PATIENCE, async || {
        let log = served.claviger.log();
        Ok(log.contains("the one from before is served on").then_some(()))
    })
    .await
    .unwrap();
    assert!(served.claviger.log().contains("is not for the key in"));
    let (certificate, _) = fetch(&authority, port, "/").await.unwrap();
    assert_eq!(certificate, der(&first));

    // Taken although it is for another host, and named.
    let elsewhere = authority.issue(&["id.example.org"]).unwrap();
    volume.show("elsewhere", &elsewhere.certificate, &elsewhere.key);
    poll::until(
        "the certificate of another host to be told of",
        PATIENCE,
        async || {
            let told = "is not for the issuer's host 127.0.0.1 but for ";
            Ok(served.claviger.log().contains(told).then_some(()))
        },
    )
    .await
    .unwrap();
    assert!(fetch(&authority, port, "/").await.is_err());

    volume.show("second", &other.certificate, &other.key);
    poll::until("the renewed certificate", PATIENCE, async || {
        let shown = fetch(&authority, port, "/").await;
        Ok(shown.ok().filter(|(certificate, _)| *certificate == der(&other)))
    })
    .await
    .unwrap();
}

/// The doctor follows the issuer through TLS as an app would: what the pod trusts decides.
#[tokio::test]
async fn the_doctor_checks_the_issuer_through_tls() {
    let authority = Authority::new().unwrap();
    let volume = Volume::new(&authority.issue(&[HOST]).unwrap());
    let folder = Folder::new("trusted").unwrap();
    let trusted = folder.write("ca.crt", authority.pem()).unwrap();
    let other = Authority::new().unwrap();
    let distrusted = folder.write("other.crt", other.pem()).unwrap();
    let examine = async |trusts: &PathBuf| {
        let served = World::shared()
            .serve_with(StoreKind::Sled, |options| {
                options.tls = Some(volume.paths());
                let trusts = ("SSL_CERT_FILE".to_owned(), trusts.display().to_string());
                options.environment.push(trusts);
            })
            .await;
        let output = program()
            .args(["doctor", "--output=json", "--admin-socket"])
            .arg(served.folder.join("store.sock"))
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let check = |name: &str| {
            let checks = report["checks"].as_array().unwrap();
            checks.iter().find(|check| check["name"] == name).unwrap().clone()
        };
        (output.status.code(), check("issuer"), check("tls"))
    };
    let (code, issuer, tls) = examine(&trusted).await;
    assert_eq!(code, Some(0), "{issuer} {tls}");
    assert_eq!((&issuer["result"], &tls["result"]), (&json!("ok"), &json!("ok")));
    let found = tls["found"].as_str().unwrap();
    assert!(found.contains("fits the issuer and is good until"), "{tls}");
    let (code, issuer, _) = examine(&distrusted).await;
    assert_eq!((code, &issuer["result"]), (Some(4), &json!("failed")), "{issuer}");
    assert!(
        issuer["found"].as_str().unwrap().contains("apps need the CA"),
        "{issuer}"
    );
}

/// Files that are no certificate and key end the start, as does an issuer that they contradict.
#[tokio::test]
async fn a_start_without_a_usable_certificate_is_refused() {
    let authority = Authority::new().unwrap();
    let pair = authority.issue(&[HOST]).unwrap();
    let other = authority.issue(&[HOST]).unwrap();
    let folder = Folder::new("tls").unwrap();
    let certificate = folder.write("tls.crt", &pair.certificate).unwrap();
    let key = folder.write("tls.key", &pair.key).unwrap();
    let misfit = folder.write("other.key", &other.key).unwrap();
    let start = |certificate: &PathBuf, key: &PathBuf| {
        Start::new()
            .flag("tls-cert", certificate.display().to_string())
            .flag("tls-key", key.display().to_string())
    };
    let https = |start: Start| start.flag("issuer", "https://127.0.0.1");
    https(start(&certificate, &misfit))
        .refused_with(&[
            "tls.crt (--tls-cert) is not for the key in",
            "other.key (--tls-key)",
            "made together",
        ])
        .await;
    https(start(&folder.join("none.crt"), &key))
        .refused_with(&[
            "unable to read ",
            "none.crt (--tls-cert); check that it is there",
            "No such file",
        ])
        .await;
    https(start(&key, &key))
        .refused_with(&["tls.key (--tls-cert) holds no certificate chain in PEM"])
        .await;
    start(&certificate, &key)
        .refused_with(&[
            "the issuer http://127.0.0.1:",
            " is plain http, but --tls-cert makes the public port speak https; write the issuer with https",
        ])
        .await;
}
