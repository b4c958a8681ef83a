//! An app's page in the book, and what stands in for the names that every page uses.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use testbed::tools;
use url::Url;

/// A page: its blocks of code that have a file name. The name ends the line before the block, as in "The app, `app.mjs`:".
pub(crate) struct Page {
    name: String,
    blocks: BTreeMap<String, String>,
}

impl Page {
    /// Reads `docs/src/apps/<name>.md`.
    pub(crate) fn read(name: &str) -> Result<Self> {
        let path = tools::root().join(format!("docs/src/apps/{name}.md"));
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        Ok(Self {
            name: name.to_owned(),
            blocks: blocks(&text),
        })
    }

    /// A block, as it stands there.
    pub(crate) fn block(&self, file: &str) -> Result<&str> {
        let block = self.blocks.get(file);
        block
            .map(String::as_str)
            .with_context(|| format!("docs/src/apps/{}.md has no block `{file}`", self.name))
    }

    /// All blocks by their file names.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.blocks
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

fn blocks(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut before = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let block: String = lines
                .by_ref()
                .take_while(|line| *line != "```")
                .flat_map(|line| [line, "\n"])
                .collect();
            if let Some(name) = file_name(before) {
                found.insert(name.to_owned(), block);
            }
        } else if !line.trim().is_empty() {
            before = line;
        }
    }
    found
}

fn file_name(line: &str) -> Option<&str> {
    let (_, name) = line.strip_suffix("`:")?.rsplit_once('`')?;
    Some(name)
}

/// What the pages call by a name that exists nowhere, and what it is here. `docs/src/apps.md` lists them.
pub(crate) struct Places<'a> {
    /// For `https://id.example.org`.
    pub(crate) issuer: &'a Url,
    /// For `https://app.example.org`, by which people reach the app.
    pub(crate) app: Url,
    /// For `https://api.example.org`, an API that the app calls, on the page of such an app.
    pub(crate) api: Option<&'a Url>,
    /// For `8080`, where the app listens, and for `8081` and `8082`.
    pub(crate) ports: [u16; 3],
    /// For `/etc/ssl/certs/ca-certificates.crt`.
    pub(crate) authority: &'a Path,
    /// For `/etc/tls`, where a page mounts a certificate.
    pub(crate) certificate: &'a Path,
    /// For `/etc/oidc-key`, where a page mounts the key of its app.
    pub(crate) key: &'a Path,
    /// For `/usr/lib/apache2`, where Debian has Apache's modules.
    pub(crate) apache: &'a Path,
}

impl Places<'_> {
    /// A block with the places put in.
    pub(crate) fn fill(&self, text: &str) -> String {
        let origin = |url: &Url| url.origin().ascii_serialization();
        let host = |url: &Url| url.host_str().unwrap_or_default().to_owned();
        let port = |port: usize| self.ports[port].to_string();
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let issuer_port = self.issuer.port_or_known_default().unwrap_or_default();
        let places = [
            ("https://id.example.org", origin(self.issuer)),
            ("https://app.example.org", origin(&self.app)),
            (
                "https://api.example.org",
                self.api.map(&origin).unwrap_or_default(),
            ),
            ("id.example.org", host(self.issuer)),
            ("port_value: 443", format!("port_value: {issuer_port}")),
            // The issuer of the tests is an address.
            ("san_type: DNS", "san_type: IP_ADDRESS".to_owned()),
            ("0.0.0.0", "127.0.0.1".to_owned()),
            ("8080", port(0)),
            ("8081", port(1)),
            ("8082", port(2)),
            ("/etc/ssl/certs/ca-certificates.crt", path(self.authority)),
            ("/etc/tls", path(self.certificate)),
            ("/etc/oidc-key", path(self.key)),
            ("/usr/lib/apache2", path(self.apache)),
        ];
        replace(text, &places)
    }
}

/// Replaces each name in one go: what was put in is not looked at again.
fn replace(mut text: &str, places: &[(&str, String)]) -> String {
    let mut filled = String::new();
    while let Some(character) = text.chars().next() {
        let place = places
            .iter()
            .find_map(|(name, place)| Some((place.as_str(), text.strip_prefix(name)?)));
        if let Some((place, rest)) = place {
            filled.push_str(place);
            text = rest;
        } else {
            filled.push(character);
            text = &text[character.len_utf8()..];
        }
    }
    filled
}
