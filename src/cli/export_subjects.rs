//! `claviger export-subjects`: commands that pin the subject of every person, so that apps recognise them after the
//! cluster was made anew.

use clap::Args;

use super::output::{OutputFormat, print, print_json};
use crate::admin::client::AdminClient;
use crate::admin::report::SubjectsReport;
use crate::config::AdminSocketSettings;

/// Arguments of `claviger export-subjects`.
#[derive(Debug, Args)]
pub struct ExportSubjectsArgs {
    #[command(flatten)]
    socket: AdminSocketSettings,

    /// Commands for a shell, or the names and subjects
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// Runs the subcommand.
pub async fn run(arguments: &ExportSubjectsArgs) -> anyhow::Result<()> {
    let report = AdminClient::new(&arguments.socket.path()).subjects().await?;
    match arguments.output {
        OutputFormat::Json => print_json(&report),
        OutputFormat::Text => print(&commands(&report)),
    }
}

/// One `kubectl patch` a line, fit for `sh`; the rest are comments.
fn commands(report: &SubjectsReport) -> String {
    let mut text = format!(
        "# {} of the people in the namespace {} have a subject that their OidcUser does not pin; {} are pinned already\n",
        report.subjects.len(),
        report.namespace,
        report.pinned
    );
    for subject in &report.subjects {
        let patch = serde_json::json!({ "spec": { "subject": subject.subject } }).to_string();
        let line = format!(
            "kubectl patch oidcusers.claviger.dev {} --namespace {} --type merge --patch {}\n",
            quoted(&subject.name),
            quoted(&report.namespace),
            quoted(&patch)
        );
        text.push_str(&line);
    }
    text
}

/// One word of a shell, whatever is in it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::report::SubjectReport;

    #[test]
    fn each_line_is_a_command_whatever_the_subject() {
        let report = SubjectsReport {
            namespace: "claviger".to_owned(),
            pinned: 2,
            subjects: vec![SubjectReport {
                name: "ada".to_owned(),
                subject: "it's $(rm)".to_owned(),
            }],
        };
        let text = commands(&report);
        let (comment, command) = text.split_once('\n').unwrap();
        assert!(comment.starts_with("# 1 of the people"), "{comment}");
        assert_eq!(
            command,
            "kubectl patch oidcusers.claviger.dev ada --namespace claviger --type merge --patch \
             '{\"spec\":{\"subject\":\"it'\\''s $(rm)\"}}'\n"
        );
    }
}
