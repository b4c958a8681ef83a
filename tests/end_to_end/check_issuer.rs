//! `claviger check-issuer` against a claviger that serves.

use std::fs;
use std::path::PathBuf;

use testbed::certificates::Authority;
use testbed::folder::Folder;

use crate::harness::{StoreKind, World};
use crate::launch::program;

/// Exit code, standard output and standard error.
fn check(arguments: &[&str], system: Option<&PathBuf>) -> (Option<i32>, String, String) {
    let mut program = program();
    program.arg("check-issuer").args(arguments);
    if let Some(system) = system {
        program.env("SSL_CERT_FILE", system);
    }
    let output = program.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn an_issuer_that_answers_is_told_from_another() {
    let served = World::shared().serve(StoreKind::Memory).await;
    let issuer = served.claviger.issuer();
    let (code, said, errors) = check(&[&issuer], None);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(
        said,
        format!("{issuer} answers and names itself; its JWK Set shows 4 keys\n")
    );

    let at = format!("--at=http://127.0.0.1:{}", served.port());
    let (code, said, errors) = check(&["https://id.example.org", &at], None);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert_eq!(
        errors,
        format!("claviger: https://id.example.org leads to another issuer, {issuer}\n")
    );
    // Found is the one with the path only.
    let (code, _, errors) = check(&["https://id.example.org/sso", &at], None);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("/sso/.well-known/openid-configuration answers 404"),
        "{errors}"
    );
    assert!(
        errors.contains("look what answers at http://127.0.0.1:"),
        "{errors}"
    );
    // Whoever cannot connect is told what to do.
    let (code, _, errors) = check(&["https://127.0.0.1:1"], None);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("unable to connect to 127.0.0.1, port 1: ")
            && errors.contains("look where 127.0.0.1 leads from here"),
        "{errors}"
    );
    for bad in [
        "--at=id.example.org",
        "--at=http://a.example/path",
        "--at=http://u@a.example",
        "--at=ftp://a.example",
    ] {
        let (code, _, errors) = check(&["https://id.example.org", bad], None);
        assert_eq!(code, Some(2), "{bad}");
        assert!(
            errors.contains("no place to connect to; write it like http"),
            "{errors}"
        );
    }
}

/// The certificate has to be the issuer's, whatever the way; the file of CAs may be missing, which is then said.
#[tokio::test]
async fn the_certificate_is_checked_for_the_issuer() {
    let (authority, foreign) = (Authority::new().unwrap(), Authority::new().unwrap());
    let folder = Folder::new("check-issuer").unwrap();
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let pair = authority.issue(&["127.0.0.1"]).unwrap();
    let files = (write("tls.crt", &pair.certificate), write("tls.key", &pair.key));
    let (ca, system) = (
        write("ca.crt", authority.pem()),
        write("system.crt", foreign.pem()),
    );
    let served = World::shared()
        .serve_with(StoreKind::Memory, |options| options.tls = Some(files))
        .await;
    let issuer = served.claviger.issuer();
    let trusted = format!("--ca-certificate={}", ca.display());
    let (code, said, errors) = check(&[&issuer, &trusted], Some(&system));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(said.starts_with(&issuer), "{said}");

    let absent = format!("--ca-certificate={}", folder.join("absent").display());
    let (code, _, errors) = check(&[&issuer, &absent], Some(&system));
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("TLS with 127.0.0.1 failed: ") && errors.contains("(there is no "),
        "{errors}"
    );

    let at = format!("--at=https://127.0.0.1:{}", served.port());
    let (code, _, errors) = check(&["https://id.example.org", &at, &trusted], Some(&system));
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("TLS with 127.0.0.1 failed: ") && errors.contains("id.example.org"),
        "{errors}"
    );
}
