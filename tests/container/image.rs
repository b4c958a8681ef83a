//! The image: its archive is written as `make image` does it, around the test's binary, and unpacked as a runtime would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use testbed::folder::Folder;
use testbed::tools;

/// An image on disk.
pub(crate) struct Image {
    /// Its root file system.
    pub(crate) root: PathBuf,
    /// How it wants to be run.
    pub(crate) config: Config,
}

/// The part of an image's configuration that says how it is run (OCI Image Format Specification, Image Configuration).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Config {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) working_dir: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Deserialize)]
struct Configuration {
    config: Config,
}

/// Writes `image.tar` into a folder. Without debug data, of which a test's binary has hundreds of megabytes.
pub(crate) fn write(folder: &Folder) -> Result<()> {
    let binary = folder.join("claviger");
    let built = env!("CARGO_BIN_EXE_claviger");
    run(Command::new("strip").arg("-o").arg(&binary).arg(built))?;
    run(Command::new("python3")
        .arg(tools::root().join("image/archive.py"))
        .args([&binary, &folder.join("image.tar")])
        .args(["--version", "1"]))
}

impl Image {
    /// Unpacks `image.tar` of one folder into another.
    pub(crate) fn unpack(prepared: &Path, folder: &Path) -> Result<Self> {
        let layout = folder.join("layout");
        unpack(&prepared.join("image.tar"), &layout)?;
        let blob = |descriptor: &Descriptor| layout.join("blobs").join(descriptor.digest.replace(':', "/"));
        let index: Index = json(&layout.join("index.json"))?;
        let manifest = index.manifests.first().context("the image has no manifest")?;
        let manifest: Manifest = json(&blob(manifest))?;
        let root = folder.join("root");
        for layer in &manifest.layers {
            unpack(&blob(layer), &root)?;
        }
        let Configuration { config } = json(&blob(&manifest.config))?;
        Ok(Self { root, config })
    }
}

/// tar finds out by itself whether an archive is compressed.
fn unpack(archive: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("failed to make {}", into.display()))?;
    run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(into))
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is something else", path.display()))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("failed to start {command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
