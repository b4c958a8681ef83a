//! Pages and the links between them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{book, root};

/// The Markdown files below a folder.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The targets of links, without those that lead out of the repository.
fn targets(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = fs::read_to_string(book().join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<PathBuf> = targets(&summary)
        .iter()
        .map(|target| book().join(target))
        .collect();
    let written: BTreeSet<PathBuf> = pages(&book())
        .into_iter()
        .filter(|path| !path.ends_with("SUMMARY.md"))
        .collect();
    assert_eq!(
        listed, written,
        "the pages that docs/src/SUMMARY.md lists, and those that exist"
    );
}

#[test]
fn every_link_leads_to_a_file() {
    let mut texts = pages(&book());
    texts.extend(["README.md", "ARCHITECTURE.md", "charts/claviger/README.md"].map(|file| root().join(file)));
    let mut seen = 0;
    for path in texts {
        let text = fs::read_to_string(&path).unwrap();
        for target in targets(&text) {
            let file = path.parent().unwrap().join(target);
            assert!(
                file.exists(),
                "{} links to {target}, which is not there",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(
        seen > 5,
        "only {seen} links were found: they are not written as this test reads them"
    );
}
