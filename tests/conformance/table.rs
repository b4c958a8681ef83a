//! The table: requirement, test, result.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::harness::{Outcome, Outcomes};
use crate::requirements::{Level, Profile, Requirement};

/// How many results are not as they should be.
pub(crate) fn failures(outcomes: &Outcomes, gaps: &[String]) -> usize {
    let failed = outcomes
        .values()
        .filter(|outcome| matches!(outcome, Outcome::Failed(_)));
    failed.count() + gaps.len()
}

/// One line for each requirement whose test was run, the gaps, and totals. The last line is `N passed, N failed`.
pub(crate) fn write(rows: &[Requirement], outcomes: &Outcomes, gaps: &[String]) -> String {
    let mut table = String::new();
    for row in rows {
        let Some(outcome) = outcomes.get(row.test.as_str()) else {
            continue;
        };
        let level = match row.level {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
        };
        line(
            &mut table,
            format_args!(
                "{} ({}, {level}): {} → {} → {}",
                row.id,
                row.source,
                row.sentence,
                row.test,
                result(outcome)
            ),
        );
    }
    for gap in gaps {
        line(&mut table, format_args!("gap: {gap}"));
    }
    for profile in Profile::ALL {
        let of_profile = || {
            rows.iter()
                .filter(move |row| row.profile.contains(&profile))
                .filter_map(|row| outcomes.get(row.test.as_str()))
        };
        let passed = of_profile().filter(|outcome| matches!(outcome, Outcome::Passed));
        line(
            &mut table,
            format_args!(
                "{profile:?}: {} of {} requirements shown",
                passed.count(),
                of_profile().count()
            ),
        );
    }
    let count = |wanted: fn(&Outcome) -> bool| outcomes.values().filter(|outcome| wanted(outcome)).count();
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    if skipped > 0 {
        line(&mut table, format_args!("{skipped} skipped"));
    }
    let passed = count(|outcome| matches!(outcome, Outcome::Passed));
    line(
        &mut table,
        format_args!("{passed} passed, {} failed", failures(outcomes, gaps)),
    );
    table
}

fn result(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Skipped(reason) => format!("skipped: {reason}"),
        Outcome::Failed(reason) => format!("FAILED: {}", reason.replace('\n', " ")),
    }
}

fn line(table: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(table, "{text}");
}

/// Keeps the table where whoever reads results looks.
pub(crate) fn keep(table: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output/conformance");
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let path = folder.join("requirements.txt");
    std::fs::write(&path, table).with_context(|| format!("failed to write {}", path.display()))
}
