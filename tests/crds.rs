//! The committed CRDs are those that the code makes: `claviger crd`, the files in `crds/` and what the chart installs
//! never differ. `UPDATE_CRDS=1 cargo test --test crds` (or `make crds`) writes both again.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here is a failed test, in a function of its own or not"
)]

use std::fs;
use std::path::{Path, PathBuf};

use claviger::crd::document;
use claviger::oidc::client::{ClientAuthenticationMethod, LONGEST_SIGNED_LIFETIME, SubjectType};
use claviger::oidc::grant_type::GrantType;
use claviger::oidc::scope;
use claviger::oidc::signing_algorithm::SigningAlgorithm;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

fn committed(crd: &CustomResourceDefinition) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crds")
        .join(format!("{}.yaml", crd.spec.names.plural))
}

fn in_chart(crd: &CustomResourceDefinition) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("charts/claviger/templates/crds")
        .join(format!("{}.yaml", crd.spec.names.plural))
}

/// The CRD as a template of the chart: `crds.install` decides whether it is there, `crds.keep` whether it stays.
fn template(yaml: &str) -> String {
    const KEEP: &str = "metadata:\n  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n";
    assert!(
        !yaml.contains("{{"),
        "Helm would take a part of the CRD for its own"
    );
    assert!(
        !yaml.contains("\n  annotations:"),
        "the CRD has annotations of its own"
    );
    let kept = yaml.replacen("metadata:\n", KEEP, 1);
    format!("{{{{- if .Values.crds.install }}}}\n{kept}{{{{- end }}}}\n")
}

/// Compares a committed file, or writes it again where that is asked for.
fn assert_committed(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE_CRDS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, wanted).unwrap();
    }
    let file = fs::read_to_string(path).unwrap_or_default();
    assert!(
        file == wanted,
        "{} is not what the code makes; run `make crds`",
        path.display()
    );
}

fn generated() -> [CustomResourceDefinition; 2] {
    [claviger::crd::oidc_clients(), claviger::crd::oidc_users()]
}

#[test]
fn committed_crds_are_the_generated_ones() {
    for crd in generated() {
        assert_committed(&committed(&crd), &document(&crd).unwrap());
    }
}

#[test]
fn the_charts_crds_are_the_generated_ones() {
    for crd in generated() {
        assert_committed(&in_chart(&crd), &template(&document(&crd).unwrap()));
    }
}

#[test]
fn printed_crds_are_the_generated_ones() {
    use serde::Deserialize;

    let printed: Vec<CustomResourceDefinition> =
        serde_yaml::Deserializer::from_str(&claviger::crd::yaml().unwrap())
            .map(|document| CustomResourceDefinition::deserialize(document).unwrap())
            .collect();
    assert_eq!(printed, generated());
}

/// Helm and kubectl read YAML 1.1: a key `n` or `y` without quotes would be a boolean, and the field would be gone.
#[test]
fn no_field_is_read_as_a_boolean() {
    for crd in generated() {
        let yaml = document(&crd).unwrap();
        let bare = ["n:", "y:", "yes:", "no:", "on:", "off:", "true:", "false:"];
        let found = yaml.lines().find(|line| bare.contains(&line.trim_start()));
        assert_eq!(found, None, "{}", crd.spec.names.plural);
    }
}

fn rules(schema: &JSONSchemaProps) -> Vec<String> {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    rules.map(|rule| rule.rule.clone()).collect()
}

fn client_spec() -> JSONSchemaProps {
    let crd = claviger::crd::oidc_clients();
    let schema = crd.spec.versions[0].schema.clone().unwrap();
    schema.open_api_v3_schema.unwrap().properties.unwrap()["spec"].clone()
}

/// The schema repeats how long a token may live that a signing key signed, and by which grant types a grant begins: it says
/// what the code holds a client to.
#[test]
fn what_the_schema_repeats_is_what_the_code_says() {
    let spec = client_spec();
    let tokens = spec.properties.as_ref().unwrap()["tokens"].properties.clone();
    for field in ["accessTokenLifetime", "idTokenLifetime"] {
        let rules = rules(&tokens.as_ref().unwrap()[field]);
        let longest = format!("<= {})", LONGEST_SIGNED_LIFETIME.as_secs());
        assert!(
            rules.iter().any(|rule| rule.ends_with(&longest)),
            "{field}: {rules:?}"
        );
    }
    let beginnings: Vec<_> = GrantType::ALL
        .into_iter()
        .filter(|grant_type| grant_type.begins_with_a_person())
        .map(|grant_type| format!("'{grant_type}' in self.grantTypes"))
        .collect();
    let wanted = format!(
        "!('refresh_token' in self.grantTypes) || {}",
        beginnings.join(" || ")
    );
    assert!(rules(&spec).contains(&wanted), "no rule {wanted}");
}

/// What a client can register is what discovery advertises, in the same order: the resource has enums of its own, and the
/// lists of all values are written by hand.
#[test]
fn a_client_can_register_what_discovery_advertises() {
    let spec = client_spec().properties.unwrap();
    let registrable = |field: &str| -> Vec<String> {
        let Some(JSONSchemaPropsOrArray::Schema(items)) = &spec[field].items else {
            panic!("{field} is no list")
        };
        let values = items.enum_.iter().flatten();
        values.map(|value| value.0.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(registrable("grantTypes"), GrantType::ALL.map(GrantType::as_str));
    assert_eq!(
        registrable("tokenEndpointAuthMethods"),
        ClientAuthenticationMethod::ALL.map(ClientAuthenticationMethod::as_str)
    );
    assert_eq!(registrable("scopes"), scope::SUPPORTED);

    let values = |schema: &JSONSchemaProps| -> Vec<String> {
        let values = schema.enum_.iter().flatten();
        values.map(|value| value.0.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(values(&spec["subjectType"]), SubjectType::SUPPORTED);
    let tokens = spec["tokens"].properties.as_ref().unwrap();
    for field in ["idTokenSignedResponseAlg", "accessTokenSigningAlg"] {
        assert_eq!(
            values(&tokens[field]),
            SigningAlgorithm::ALL.map(SigningAlgorithm::name)
        );
    }
}

/// An unbounded list or string would exceed the API server's cost limit for CEL, and makes objects of any size; a number without
/// bounds is one that some sum does not hold.
#[test]
fn every_list_string_and_number_of_a_spec_is_bounded() {
    fn check(schema: &JSONSchemaProps, path: &str) {
        match schema.type_.as_deref() {
            Some("string") => assert!(
                schema.max_length.is_some() || schema.enum_.is_some(),
                "{path} has no maxLength"
            ),
            Some("array") => {
                assert!(schema.max_items.is_some(), "{path} has no maxItems");
                let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else {
                    panic!("{path} has no items")
                };
                check(items, &format!("{path}[]"));
            }
            Some("object") => {
                for (name, property) in schema.properties.iter().flatten() {
                    check(property, &format!("{path}.{name}"));
                }
            }
            Some("integer" | "number") => assert!(
                schema.minimum.is_some() && schema.maximum.is_some(),
                "{path} has no minimum or no maximum"
            ),
            Some("boolean") => {}
            other => panic!("{path} has the type {other:?}"),
        }
        assert_eq!(schema.nullable, None, "{path} takes null");
    }
    for crd in generated() {
        let root = crd.spec.versions[0]
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap();
        check(&root.properties.as_ref().unwrap()["spec"], "spec");
    }
}
