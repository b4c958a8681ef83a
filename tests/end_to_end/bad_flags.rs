//! Command lines that cannot be understood: exit code 2, and which flag, which value and what to write instead.

use std::net::TcpListener;
use std::process::Output;

use crate::launch::{Start, program};

const ISSUER: &str = "--issuer=https://id.example.org";

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    program()
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn assert_refused(arguments: &[&str], environment: &[(&str, &str)], parts: &[&str]) {
    let output = run(arguments, environment);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    assert!(!text.contains("panicked"), "{text}");
    for part in parts {
        assert!(text.contains(part), "{arguments:?}: no `{part}` in: {text}");
    }
}

#[test]
fn what_is_unknown_or_missing_is_named() {
    assert_refused(&[], &[], &["Usage: claviger <COMMAND>", "serve"]);
    assert_refused(
        &["sreve"],
        &[],
        &["error: unrecognized subcommand 'sreve'", "'serve'"],
    );
    assert_refused(&["serve"], &[], &["error: ", "required", "--issuer <ISSUER>"]);
    assert_refused(
        &["serve", "--isuer=https://id.example.org"],
        &[],
        &["error: unexpected argument '--isuer' found", "'--issuer'"],
    );
    assert_refused(
        &["serve", ISSUER, "--client-secret=x"],
        &[],
        &["error: unexpected argument '--client-secret' found"],
    );
    assert_refused(
        &["serve", ISSUER, ISSUER],
        &[],
        &["'--issuer <ISSUER>' cannot be used multiple times"],
    );
    assert_refused(
        &["serve", ISSUER, "--tls-cert=tls.crt"],
        &[],
        &["error: ", "required", "--tls-key <PATH>"],
    );
    assert_refused(
        &["serve", ISSUER, "more"],
        &[],
        &["unexpected argument 'more' found"],
    );
}

#[test]
fn a_bad_value_is_refused_with_the_name_of_its_flag() {
    for (flag, value, part) in [
        (
            "--issuer",
            "",
            "not an absolute URL; write it like https://id.example.org",
        ),
        ("--issuer", "id.example.org", "not an absolute URL"),
        (
            "--issuer",
            "http://id.example.org",
            "is not https; plain http is allowed only on",
        ),
        ("--issuer", "http://127.0.0.1.evil.example", "is not https"),
        ("--issuer", "ftp://127.0.0.1", "is not https"),
        (
            "--issuer",
            "https://id.example.org/",
            "write `https://id.example.org`, without a slash",
        ),
        (
            "--issuer",
            "https://id.example.org/a/",
            "write `https://id.example.org/a`",
        ),
        (
            "--issuer",
            "https://ID.example.org",
            "write `https://id.example.org`",
        ),
        (
            "--issuer",
            "https://id.example.org:443",
            "write `https://id.example.org`",
        ),
        (
            "--issuer",
            "https://id.example.org?x=1",
            "has a query, fragment or userinfo",
        ),
        (
            "--issuer",
            "https://id.example.org#x",
            "has a query, fragment or userinfo",
        ),
        (
            "--issuer",
            "https://ada@id.example.org",
            "has a query, fragment or userinfo",
        ),
        (
            "--listen",
            "8080",
            "write an address and a port like 127.0.0.1:8080",
        ),
        ("--listen", "localhost:8080", "write an address and a port"),
        ("--admin-listen", "127.0.0.1", "write an address and a port"),
        ("--admin-listen", "127.0.0.1:99999", "write an address and a port"),
        ("--store", "memory", "write `memory:` or `sled:PATH`"),
        ("--store", "sled:", "write `memory:` or `sled:PATH`"),
        ("--store", "postgres://db", "write `memory:` or `sled:PATH`"),
        (
            "--keyring",
            "keys",
            "write `secret:NAME`, `secret:NAMESPACE/NAME` or `dir:PATH`",
        ),
        ("--keyring", "secret:A_B", "`A_B` is no name of a Secret"),
        ("--keyring", "secret:N/x", "`N` is no name of a namespace"),
        (
            "--signing-key-rotation",
            "47h",
            "write a time between `2d` and `3650d`, like `90d`",
        ),
        ("--signing-key-rotation", "90", "write a time between"),
        ("--namespace", "Claviger", "`Claviger` is no name of a namespace"),
        ("--namespace", "", "is no name of a namespace"),
        ("--watch-namespaces", "a,b c", "`b c` is no name of a namespace"),
        ("--log-format", "xml", "[possible values: json, text]"),
        ("--log", "wran", "`wran` is no level; write a level"),
        ("--log", "info,claviger=lots", "write a level"),
        ("--without-secret-policy", "maybe", "--without-secret-policy"),
    ] {
        assert_value_refused(flag, value, part);
    }
}

#[test]
fn a_bad_limit_is_refused_with_the_name_of_its_flag() {
    for (flag, value, part) in [
        ("--rate-limit-login", "20", "write it like `20/s:200`"),
        ("--rate-limit-client", "0/s:1", "or `off`"),
        (
            "--trusted-proxies",
            "proxy.example.org",
            "is no range of addresses; write it like 10.0.0.0/8",
        ),
        (
            "--trusted-proxies",
            "10.0.0.1/8",
            "has bits set behind its prefix",
        ),
        (
            "--allow-egress",
            "cluster",
            "is no range of addresses; write it like 10.0.0.0/8",
        ),
        (
            "--allow-egress",
            "10.96.0.0/12,10.0.0.1/8",
            "has bits set behind its prefix",
        ),
    ] {
        assert_value_refused(flag, value, part);
    }
}

/// As an argument and from the environment.
fn assert_value_refused(flag: &str, value: &str, part: &str) {
    let argument = format!("{flag}={value}");
    let mut arguments = vec!["serve"];
    if flag != "--issuer" {
        arguments.push(ISSUER);
    }
    arguments.push(&argument);
    assert_refused(&arguments, &[], &["error: ", flag, part]);
    if flag == "--without-secret-policy" {
        return;
    }
    // The same from the environment; clap takes an empty variable for a value as well.
    let variable = format!("CLAVIGER_{}", flag[2..].to_uppercase().replace('-', "_"));
    let environment = [(variable.as_str(), value)];
    arguments.pop();
    assert_refused(&arguments, &environment, &["error: ", flag, part]);
}

/// A port of somebody else: which flag, and what to do. Nothing else was begun.
#[tokio::test]
async fn a_port_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["listen", "admin-listen"] {
        let line = format!("unable to listen on {address}; free the port or choose another with --{flag}");
        Start::new()
            .flag(flag, &address)
            .refused_with(&[&line, "in use"])
            .await;
    }
}

/// A file of CAs that is not there, or holds none: which flag, and what belongs there.
#[tokio::test]
async fn a_file_without_cas_is_refused() {
    let folder = testbed::folder::Folder::new("extra-ca").unwrap();
    let empty = folder.write("empty.crt", "no certificate").unwrap();
    for (path, part) in [
        (folder.join("missing.crt"), "No such file"),
        (empty, "it holds no certificate"),
    ] {
        let path = path.to_str().unwrap();
        Start::new()
            .flag("extra-ca", path)
            .refused_with(&["unable to use --extra-ca", path, part])
            .await;
    }
}
