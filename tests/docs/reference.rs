//! The reference: fields from the CRDs, flags from the command line's own help.

use std::fmt::Write as _;
use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

use crate::assert_page;

/// What an administrator can run, in the order of a first day.
const SUBCOMMANDS: &[&[&str]] = &[
    &["serve"],
    &["keys"],
    &["keys", "list"],
    &["keys", "rotate"],
    &["doctor"],
    &["check-issuer"],
    &["export-subjects"],
    &["crd"],
    &["hash-password"],
];

#[test]
fn the_fields_of_the_kinds_are_the_generated_ones() {
    for crd in [claviger::crd::oidc_clients(), claviger::crd::oidc_users()] {
        let name = crd.spec.names.kind.to_lowercase();
        assert_page(&format!("reference/{name}.md"), &kind(&crd));
    }
}

#[test]
fn the_command_line_is_the_generated_one() {
    let mut text = "# Command line\n\nMade from the program's own help by `make docs`.\n".to_owned();
    section(&mut text, &[]);
    for subcommand in SUBCOMMANDS {
        section(&mut text, subcommand);
    }
    let listed = help(&[]);
    for name in listed
        .lines()
        .skip_while(|line| *line != "Commands:")
        .filter_map(subcommand)
    {
        let is_known = name == "help" || SUBCOMMANDS.iter().any(|subcommand| subcommand[0] == name);
        assert!(
            is_known,
            "the subcommand {name} is not in the reference: add it to SUBCOMMANDS"
        );
    }
    assert_page("reference/command-line.md", &text);
}

/// The name at the beginning of a line of the list of subcommands; lines that go on are indented further.
fn subcommand(line: &str) -> Option<&str> {
    let name = line.strip_prefix("  ")?.split_whitespace().next()?;
    let begins = line.as_bytes().get(2)?.is_ascii_lowercase();
    begins.then_some(name)
}

fn section(text: &mut String, subcommand: &[&str]) {
    let title = [&["claviger"], subcommand].concat().join(" ");
    write!(
        text,
        "\n## `{title}`\n\n```text\n{}\n```\n",
        help(subcommand).trim_end()
    )
    .unwrap();
}

/// The long help, as wide as where nobody says how wide the terminal is.
fn help(subcommand: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_claviger"))
        .args(subcommand)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{subcommand:?} has no help");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn kind(crd: &CustomResourceDefinition) -> String {
    let names = &crd.spec.names;
    let version = &crd.spec.versions[0];
    let schema = version
        .schema
        .as_ref()
        .unwrap()
        .open_api_v3_schema
        .as_ref()
        .unwrap();
    let mut text = format!(
        "# {kind}\n\nMade from the custom resource definition by `make docs`. Your own cluster says the same:\n\
         `kubectl explain {lower}.spec --recursive`.\n\n{doc}\n\n\
         API `{group}/{version}`, {scope}, short name `{short}`.\n",
        kind = names.kind,
        lower = names.kind.to_lowercase(),
        doc = schema.description.as_deref().unwrap_or_default(),
        group = crd.spec.group,
        version = version.name,
        scope = crd.spec.scope.to_lowercase(),
        short = names
            .short_names
            .iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join(", "),
    );
    for part in ["spec", "status"] {
        write!(text, "\n## {part}\n\n| field | type | meaning |\n|---|---|---|\n").unwrap();
        let root = &schema.properties.as_ref().unwrap()[part];
        rows(&mut text, part, root);
        rules(&mut text, root);
    }
    text
}

/// A row for each field below `path`, parents before their children.
fn rows(text: &mut String, path: &str, schema: &JSONSchemaProps) {
    let required = schema.required.clone().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let meaning = field
            .description
            .as_deref()
            .unwrap_or_default()
            .replace('\n', " ")
            .replace('|', "\\|");
        let must = if required.contains(name) { ", required" } else { "" };
        writeln!(
            text,
            "| `{path}` | {}{must} | {meaning}{} |",
            type_of(field),
            limits(field)
        )
        .unwrap();
        rows(text, &path, field);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &field.items {
            rows(text, &format!("{path}[]"), items);
        }
    }
}

fn type_of(schema: &JSONSchemaProps) -> String {
    match (&schema.items, schema.type_.as_deref()) {
        (Some(JSONSchemaPropsOrArray::Schema(items)), _) => format!("list of {}", type_of(items)),
        (_, Some(name)) => name.to_owned(),
        (_, None) => "any".to_owned(),
    }
}

fn limits(schema: &JSONSchemaProps) -> String {
    let mut limits = Vec::new();
    let of_items = match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => items.enum_.as_ref(),
        _ => None,
    };
    if let Some(values) = schema.enum_.as_ref().or(of_items) {
        let values: Vec<String> = values
            .iter()
            .map(|value| {
                format!(
                    "`{}`",
                    value
                        .0
                        .as_str()
                        .map_or_else(|| value.0.to_string(), str::to_owned)
                )
            })
            .collect();
        limits.push(format!("one of {}", values.join(", ")));
    }
    if let Some(default) = &schema.default {
        limits.push(format!("default `{}`", default.0));
    }
    if let Some(most) = schema.max_items {
        limits.push(format!("at most {most}"));
    }
    if let Some(most) = schema.max_length {
        limits.push(format!("at most {most} characters"));
    }
    if limits.is_empty() {
        String::new()
    } else {
        format!(" ({})", limits.join("; "))
    }
}

/// What the API server checks beyond types, in the words that it answers with.
fn rules(text: &mut String, schema: &JSONSchemaProps) {
    let messages: Vec<String> = all_rules(schema);
    if messages.is_empty() {
        return;
    }
    text.push_str("\nThe API server refuses a resource with one of these messages:\n\n");
    for message in messages {
        writeln!(text, "- {message}").unwrap();
    }
}

fn all_rules(schema: &JSONSchemaProps) -> Vec<String> {
    let own = schema
        .x_kubernetes_validations
        .iter()
        .flatten()
        .filter_map(|rule| rule.message.clone());
    let mut messages: Vec<String> = own.collect();
    let items = match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items.as_ref()),
        _ => None,
    };
    for child in schema
        .properties
        .iter()
        .flatten()
        .map(|(_, child)| child)
        .chain(items)
    {
        for message in all_rules(child) {
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
    }
    messages
}
