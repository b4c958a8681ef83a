//! The container of a page, as the kubelet would make its environment.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Container, PodSpec};

/// Reads the first container of a part of a Pod template.
pub(crate) fn read(text: &str) -> Result<Container> {
    let spec: PodSpec = serde_yaml::from_str(text).context("`pod.yaml` is no part of a Pod template")?;
    spec.containers
        .into_iter()
        .next()
        .context("`pod.yaml` has no container")
}

/// The variables of a container. `secret` is the one Secret that it may read, by name.
pub(crate) fn environment(
    container: &Container,
    (name, secret): (&str, &BTreeMap<String, String>),
) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for source in container.env_from.iter().flatten() {
        let wanted = source
            .secret_ref
            .as_ref()
            .map(|reference| reference.name.as_str());
        anyhow::ensure!(wanted == Some(name), "envFrom is not from the Secret {name}");
        // What is no name of a variable is left out, as the kubelet does.
        let usable = secret.iter().filter(|(key, _)| is_variable(key));
        variables.extend(usable.map(|(key, value)| (key.clone(), value.clone())));
    }
    for variable in container.env.iter().flatten() {
        let reference = variable
            .value_from
            .as_ref()
            .and_then(|from| from.secret_key_ref.as_ref());
        let value = match reference {
            Some(reference) => {
                anyhow::ensure!(reference.name == name, "{} is not from {name}", variable.name);
                let value = secret.get(&reference.key).cloned();
                value.with_context(|| format!("the Secret {name} has no key {}", reference.key))?
            }
            None => expand(variable.value.as_deref().unwrap_or_default(), &variables),
        };
        variables.insert(variable.name.clone(), value);
    }
    Ok(variables)
}

/// `$(NAME)`, as in a container's `env`.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in variables {
        text = text.replace(&format!("$({name})"), value);
    }
    text
}

fn is_variable(key: &str) -> bool {
    key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
