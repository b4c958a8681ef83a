//! Who may import whom, and how large files and functions may grow. A failure names file and line.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its input fails")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import of ours. `app`, `cli`, `config` and `telemetry` may import everything, and nobody them
/// (but each other).
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("random", &[]),
    // `opaque_token` draws random bytes; nothing in the core reads a clock.
    ("oidc", &["random"]),
    ("keyring", &["oidc", "clock", "random"]),
    ("crd", &[]),
    ("store", &["oidc", "clock", "random"]),
    ("login", &["oidc", "clock", "random", "store"]),
    (
        "provider",
        &["oidc", "keyring", "login", "clock", "random", "store"],
    ),
    ("address_range", &[]),
    // Knows nothing of why somebody posts something.
    ("egress", &["address_range"]),
    (
        "http",
        &["oidc", "provider", "login", "clock", "random", "address_range"],
    ),
    (
        "controller",
        &["crd", "oidc", "keyring", "store", "clock", "random"],
    ),
    // What is asked for is done by whoever implements its trait, which is `app`.
    ("admin", &["keyring", "clock"]),
];

const EDGE: &[&str] = &["app", "cli", "config", "telemetry", "main", "lib"];

/// External crates that only the named places may use.
const EXTERNAL: &[(&str, &[&str])] = &[
    ("sled", &["store/sled", "store/sled.rs"]),
    ("axum", &["http", "http.rs", "admin", "app", "app.rs"]),
    ("askama", &["http"]),
    (
        "kube",
        &["crd", "crd.rs", "controller", "controller.rs", "app", "app.rs"],
    ),
    (
        "k8s_openapi",
        &["crd", "crd.rs", "controller", "controller.rs", "app", "app.rs"],
    ),
    ("schemars", &["crd", "crd.rs"]),
    ("argon2", &["login"]),
    (
        "hyper",
        &[
            "http",
            "admin",
            "app/doctor",
            "egress",
            "egress.rs",
            "telemetry/traces.rs",
        ],
    ),
    (
        "hyper_util",
        &[
            "http",
            "admin",
            "app/doctor",
            "egress",
            "egress.rs",
            "telemetry/traces.rs",
        ],
    ),
    ("tower", &["http", "app"]),
    ("governor", &["http"]),
    ("tokio_rustls", &["http", "app/doctor", "egress", "egress.rs"]),
    // The core hashes, and verifies what clients sign.
    ("aws_lc_rs", &["keyring", "oidc"]),
    ("serde_yaml", &["crd.rs", "crd"]),
    ("prometheus_client", &["telemetry"]),
    ("opentelemetry", &["telemetry/traces.rs"]),
    ("opentelemetry_http", &["telemetry/traces.rs"]),
    ("opentelemetry_otlp", &["telemetry/traces.rs"]),
    ("opentelemetry_sdk", &["telemetry/traces.rs"]),
    ("tracing_opentelemetry", &["telemetry/traces.rs"]),
    ("clap", &["cli", "cli.rs", "config", "config.rs"]),
    ("anyhow", &["cli", "cli.rs", "app", "app.rs", "main.rs"]),
];

/// Lines of production code of a file.
const MAX_FILE: usize = 500;
/// Physical lines of a function.
const MAX_FUNCTION: usize = 100;
const BANNED_NAMES: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "manager", "misc", "mod",
];

struct Source {
    path: PathBuf,
    relative: String,
    lines: Vec<String>,
}

impl Source {
    fn module(&self) -> &str {
        self.relative.split(['/', '.']).next().unwrap()
    }

    /// Line numbers and text of production code: everything before an inline test module, comments left out.
    fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self
            .lines
            .iter()
            .position(|line| line.trim() == "#[cfg(test)]")
            .unwrap_or(self.lines.len());
        self.lines[..end]
            .iter()
            .enumerate()
            .map(|(index, line)| (index + 1, line.as_str()))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let sources: Vec<_> = paths
        .into_iter()
        .map(|path| Source {
            relative: path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(),
            lines: fs::read_to_string(&path)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect(),
            path,
        })
        .collect();
    assert!(sources.len() > 20, "found only {} files under src", sources.len());
    sources
}

fn is_test_file(source: &Source) -> bool {
    source.relative.ends_with("/tests.rs") || source.relative.contains("/tests/")
}

fn report(problems: &[String]) {
    let mut text = String::new();
    for problem in problems {
        writeln!(text, "  {problem}").unwrap();
    }
    assert!(problems.is_empty(), "{} problems:\n{text}", problems.len());
}

/// The modules of ours that a line names, by `crate::name` or, in a group, `crate::{name, …}`.
fn imported_modules(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .flat_map(|(at, _)| {
            let rest = &line[at + "crate::".len()..];
            if let Some(group) = rest.strip_prefix('{') {
                group
                    .split(',')
                    .filter_map(|part| {
                        part.trim()
                            .split(|c: char| !c.is_alphanumeric() && c != '_')
                            .next()
                    })
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect()
            } else {
                vec![
                    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next()
                        .unwrap()
                        .to_owned(),
                ]
            }
        })
        .collect()
}

#[test]
fn modules_import_only_what_they_may() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !is_test_file(source)) {
        let module = source.module();
        if EDGE.contains(&module) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            problems.push(format!(
                "src/{}: the module `{module}` has no line in MAY_IMPORT",
                source.relative
            ));
            continue;
        };
        for (number, line) in source.production() {
            for imported in imported_modules(line) {
                let known =
                    MAY_IMPORT.iter().any(|(name, _)| *name == imported) || EDGE.contains(&imported.as_str());
                if known && imported != module && !allowed.contains(&imported.as_str()) {
                    problems.push(format!(
                        "src/{}:{number}: `{module}` may not import `{imported}`",
                        source.relative
                    ));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn external_crates_stay_where_they_belong() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !is_test_file(source)) {
        for (number, line) in source.production() {
            for (krate, places) in EXTERNAL {
                let used = line.match_indices(&format!("{krate}::")).any(|(at, _)| {
                    !line[..at]
                        .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
                });
                let allowed = places.iter().any(|place| {
                    source.relative == *place || source.relative.starts_with(&format!("{place}/"))
                });
                if used && !allowed {
                    problems.push(format!(
                        "src/{}:{number}: `{krate}` is only for {places:?}",
                        source.relative
                    ));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn the_core_is_not_async_and_does_no_io() {
    let mut problems = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.module() == "oidc" && !is_test_file(source))
    {
        // The hasher is a port that the core declares and others implement.
        let port = source.relative == "oidc/password.rs";
        for (number, line) in source.production() {
            for banned in [
                "tokio::",
                "std::fs",
                "std::net::Tcp",
                "std::env",
                "async fn",
                ".await",
            ] {
                if line.contains(banned) && !(port && banned == "async fn") {
                    problems.push(format!(
                        "src/{}:{number}: `{banned}` in the pure core",
                        source.relative
                    ));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn only_config_reads_the_environment() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !is_test_file(source)) {
        for (number, line) in source.production() {
            // The crash tests name their point by environment, in builds with that feature only.
            let allowed = source.relative.ends_with("fail_point.rs") || source.module() == "config";
            if line.contains("env::var") && !allowed {
                problems.push(format!(
                    "src/{}:{number}: only `config` reads the environment",
                    source.relative
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn files_and_functions_stay_small() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !is_test_file(source)) {
        let production = source
            .production()
            .filter(|(_, line)| !line.trim().is_empty())
            .count();
        if production > MAX_FILE {
            problems.push(format!(
                "{}: {production} lines of code, at most {MAX_FILE}",
                source.path.display()
            ));
        }
        for (number, name, length) in functions(source) {
            if length > MAX_FUNCTION {
                problems.push(format!(
                    "src/{}:{number}: `{name}` has {length} lines, at most {MAX_FUNCTION}",
                    source.relative
                ));
            }
        }
    }
    report(&problems);
}

/// Whether a line without its indentation begins a function, whatever its visibility and qualifiers.
fn begins_function(line: &str) -> bool {
    let mut rest = line;
    if let Some(after) = rest.strip_prefix("pub") {
        rest = match after.strip_prefix('(') {
            Some(inner) => inner.split_once(')').map_or("", |(_, after)| after),
            None => after,
        };
        rest = rest.trim_start();
    }
    for qualifier in ["const ", "async "] {
        rest = rest.strip_prefix(qualifier).unwrap_or(rest);
    }
    rest.starts_with("fn ")
}

/// Line, name and physical length of every function. rustfmt puts the closing brace at the indentation of `fn`.
fn functions(source: &Source) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    for (index, line) in source.lines.iter().enumerate() {
        let trimmed = line.trim_start();
        if !begins_function(trimmed) || line.trim_end().ends_with(';') {
            continue;
        }
        let indentation = line.len() - trimmed.len();
        let closing = format!("{}}}", " ".repeat(indentation));
        let length = source.lines[index..]
            .iter()
            .position(|later| *later == closing)
            .map_or(1, |end| end + 1);
        let name = trimmed
            .split("fn ")
            .nth(1)
            .unwrap_or(trimmed)
            .split(['(', '<'])
            .next()
            .unwrap_or_default();
        found.push((index + 1, name.to_owned(), length));
    }
    found
}

#[test]
fn names_say_what_a_module_is_about() {
    let problems: Vec<_> = sources()
        .iter()
        .flat_map(|source| {
            let relative = source.relative.trim_end_matches(".rs");
            relative
                .split('/')
                .filter(|part| BANNED_NAMES.contains(part))
                .map(|part| format!("src/{}: `{part}` says nothing", source.relative))
                .collect::<Vec<_>>()
        })
        .collect();
    report(&problems);
}

#[test]
fn every_module_says_what_it_owns() {
    let problems: Vec<_> = sources()
        .iter()
        .filter(|source| {
            !is_test_file(source) && !source.lines.first().is_some_and(|line| line.starts_with("//!"))
        })
        .map(|source| format!("src/{}: begins without `//!`", source.relative))
        .collect();
    report(&problems);
}
