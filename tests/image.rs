//! The image archive: the same bytes from the same binary, and nothing in it but what claviger needs.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here is a failed test, in a function of its own or not"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a program to its end.
fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Writes the archive, and the image's root file system into a folder. Without debug data, of which a test's binary has
/// hundreds of megabytes.
fn write(archive: &Path, root: &Path) {
    let binary = archive.with_file_name("claviger");
    run(
        "strip",
        &["-o", binary.to_str().unwrap(), env!("CARGO_BIN_EXE_claviger")],
    );
    run(
        "python3",
        &[
            "image/archive.py",
            binary.to_str().unwrap(),
            archive.to_str().unwrap(),
            "--version",
            "1",
            "--root",
            root.to_str().unwrap(),
        ],
    );
}

#[test]
fn the_same_binary_gives_the_same_archive() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(format!("{name}.tar")));
    write(&first, &folder.path().join("first"));
    write(&second, &folder.path().join("second"));
    assert!(
        fs::read(first).unwrap() == fs::read(second).unwrap(),
        "the two archives differ"
    );
}

/// The binary, its libraries, certificates, and three files that name the user and where names are looked up.
#[test]
fn nothing_else_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    write(&folder.path().join("image.tar"), &root);
    let listed = run("find", &[root.to_str().unwrap(), "-type", "f"]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    let mut files: Vec<&str> = listed
        .lines()
        .map(|path| path.strip_prefix(root.to_str().unwrap()).unwrap())
        .collect();
    let is_library = |path: &&str| {
        let name = path.rsplit('/').next().unwrap();
        ["libc.so", "libm.so", "libgcc_s.so", "ld-linux"]
            .iter()
            .any(|library| name.starts_with(library))
    };
    assert!(files.iter().any(is_library), "no libraries in {files:?}");
    files.retain(|path| !is_library(path));
    files.sort_unstable();
    assert_eq!(
        files,
        [
            "/etc/group",
            "/etc/nsswitch.conf",
            "/etc/passwd",
            "/etc/ssl/certs/ca-certificates.crt",
            "/usr/local/bin/claviger"
        ]
    );
}

/// A message, and no half of an archive.
#[test]
fn an_archive_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.tar");
    let output = Command::new("python3")
        .args([
            "image/archive.py",
            "no-such-binary",
            archive.to_str().unwrap(),
            "--version",
            "1",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(!output.status.success() && !archive.exists());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("no-such-binary: build it first"), "{message}");
}
