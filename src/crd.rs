//! The custom resources: spec, status, conditions and reasons, and the CRD documents made from them.
//!
//! This module describes; it decides nothing and talks to nobody. The committed copies in `crds/` are compared with
//! [`yaml`] by `tests/crds.rs`.

pub mod v1alpha1;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use v1alpha1::{OidcClient, OidcUser};

/// The CRD of [`OidcClient`].
pub fn oidc_clients() -> CustomResourceDefinition {
    let mut crd = finished(OidcClient::crd());
    // Binding tools find kinds with a `status.binding.name` by this label (Service Binding specification 1.1.0,
    // "Provisioned Service").
    crd.metadata.labels.get_or_insert_default().insert(
        "servicebinding.io/provisioned-service".to_owned(),
        "true".to_owned(),
    );
    crd
}

/// The CRD of [`OidcUser`].
pub fn oidc_users() -> CustomResourceDefinition {
    finished(OidcUser::crd())
}

/// Both CRDs as YAML documents.
pub fn yaml() -> Result<String, serde_yaml::Error> {
    Ok(format!(
        "---\n{}---\n{}",
        document(&oidc_clients())?,
        document(&oidc_users())?
    ))
}

/// A CRD as a YAML document. Helm and kubectl read YAML 1.1, for which the bare keys `n` and `y` (two members of a JWK) are
/// booleans.
pub fn document(crd: &CustomResourceDefinition) -> Result<String, serde_yaml::Error> {
    let yaml = serde_yaml::to_string(crd)?;
    Ok(yaml.replace(" n:\n", " 'n':\n").replace(" y:\n", " 'y':\n"))
}

/// What the derive cannot say: the default of `status`, and that `null` means absent.
fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(root) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        forbid_null(root);
        if let Some(status) = root
            .properties
            .as_mut()
            .and_then(|properties| properties.get_mut("status"))
        {
            // Ready is there from the first moment, without a write: whoever waits for it must not take a resource that
            // nobody has looked at yet for a finished one.
            status.default = Some(JSON(json!({"conditions": [{
                "type": v1alpha1::condition::READY,
                "status": "Unknown",
                "reason": v1alpha1::condition::reason::PENDING,
                "message": "waiting for claviger",
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            }]})));
        }
    }
    crd
}

/// Takes `nullable` away everywhere: the API server then drops a `null`, so that `has()` in a CEL rule means "is given".
fn forbid_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
    }
    for property in schema.properties.iter_mut().flat_map(|it| it.values_mut()) {
        forbid_null(property);
    }
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(items)) => forbid_null(items),
        Some(JSONSchemaPropsOrArray::Schemas(schemas)) => schemas.iter_mut().for_each(forbid_null),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        forbid_null(values);
    }
}
