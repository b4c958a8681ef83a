//! `claviger keys`: what keys there are, and other ones.

use clap::{Args, Subcommand};

use super::output::{OutputFormat, print, print_json};
use crate::admin::client::AdminClient;
use crate::admin::report::{KeyReport, KeysReport};
use crate::clock::Timestamp;
use crate::config::AdminSocketSettings;

/// Arguments of `claviger keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List the keys of the serving claviger: ids and times, never a key
    List(ListArgs),
    /// Begin a rotation of the signing keys, ahead of their schedule: new ones are published now and sign a day later
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    socket: AdminSocketSettings,

    /// How the list looks
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

#[derive(Debug, Args)]
struct RotateArgs {
    /// Add a master key instead; every client secret is then derived anew, and the old ones stay good for the overlap
    #[arg(long)]
    master: bool,

    #[command(flatten)]
    socket: AdminSocketSettings,

    /// How the answer looks
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// Runs the subcommand.
pub async fn run(arguments: &KeysArgs) -> anyhow::Result<()> {
    match &arguments.command {
        KeysCommand::List(list) => {
            let report = AdminClient::new(&list.socket.path()).keys().await?;
            match list.output {
                OutputFormat::Json => print_json(&report),
                OutputFormat::Text => print(&table(&report)),
            }
        }
        KeysCommand::Rotate(rotate) => run_rotate(rotate).await,
    }
}

async fn run_rotate(rotate: &RotateArgs) -> anyhow::Result<()> {
    let path = rotate.socket.path();
    let client = AdminClient::new(&path);
    if rotate.master {
        let report = client.rotate_master_key().await?;
        return match rotate.output {
            OutputFormat::Json => print_json(&report),
            OutputFormat::Text => print(&format!(
                "master key {} is in use; claviger derives every client secret anew from it, the old secrets stay good for \
                 the overlap of their client\nback up the keyring now: {}\n",
                report.id, report.keyring
            )),
        };
    }
    let report = client.rotate_signing_keys().await?;
    match rotate.output {
        OutputFormat::Json => print_json(&report),
        OutputFormat::Text => {
            let waiting = report.keys.iter().filter(|key| key.state == "published");
            let lines: Vec<String> = waiting.map(announcement).collect();
            print(&lines.concat())
        }
    }
}

fn announcement(key: &KeyReport) -> String {
    format!(
        "{} key {} is published and signs from {} on\n",
        key.alg.as_deref().unwrap_or_default(),
        key.id,
        time(key.signs_from)
    )
}

/// Columns as wide as their widest word.
fn table(report: &KeysReport) -> String {
    let mut rows = vec![
        [
            "KIND",
            "ALG",
            "STATE",
            "CREATED",
            "SIGNS FROM",
            "KEPT UNTIL",
            "ID",
        ]
        .map(str::to_owned),
    ];
    rows.extend(report.keys.iter().map(|key| {
        [
            key.kind.clone(),
            key.alg.clone().unwrap_or_else(|| "-".to_owned()),
            key.state.clone(),
            time(Some(key.created_at)),
            time(key.signs_from),
            time(key.kept_until),
            key.id.clone(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    if let Some(failure) = &report.last_failure {
        text.push_str("\nthe last try to rotate failed: ");
        text.push_str(failure);
        text.push('\n');
    }
    text
}

fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(
        || "-".to_owned(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_a_table() {
        let key = |kind: &str, alg: Option<&str>, id: &str| KeyReport {
            kind: kind.to_owned(),
            alg: alg.map(str::to_owned),
            id: id.to_owned(),
            state: "in use".to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
            published_at: None,
            signs_from: alg.map(|_| Timestamp::UNIX_EPOCH),
            kept_until: None,
        };
        let report = KeysReport {
            keyring: "file x".to_owned(),
            signing_key_rotation_seconds: 1,
            last_failure: Some("the disk is full".to_owned()),
            keys: vec![key("master", None, "m"), key("signing", Some("RS256"), "s")],
        };
        assert_eq!(
            table(&report),
            "KIND     ALG    STATE   CREATED               SIGNS FROM            KEPT UNTIL  ID\n\
             master   -      in use  1970-01-01T00:00:00Z  -                     -           m\n\
             signing  RS256  in use  1970-01-01T00:00:00Z  1970-01-01T00:00:00Z  -           s\n\
             \nthe last try to rotate failed: the disk is full\n"
        );
    }
}
