//! The command line and the environment of a container, as a kubelet and a runtime put them together.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, EnvVar, EnvVarSource, Secret};
use kube::Api;

use crate::image::Config;
use crate::pod::{Kubelet, OneContainer};

/// Name to value.
pub(crate) type Environment = BTreeMap<String, String>;

/// The variables of the image, of the runtime and of the API server's Service, then those of the pod, which win.
pub(crate) async fn environment(
    kubelet: &Kubelet,
    pod: &OneContainer<'_>,
    image: &Config,
) -> Result<Environment> {
    anyhow::ensure!(
        pod.spec.enable_service_links == Some(false) && pod.container.env_from.is_none(),
        "variables of Services and envFrom are not played"
    );
    let mut environment: Environment = image
        .env
        .iter()
        .filter_map(|variable| variable.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (host, port) = (kubelet.api_server.host_str(), kubelet.api_server.port());
    for (name, value) in [
        ("HOSTNAME", pod.name().to_owned()),
        ("KUBERNETES_SERVICE_HOST", host.unwrap_or_default().to_owned()),
        ("KUBERNETES_SERVICE_PORT", port.unwrap_or(443).to_string()),
    ] {
        environment.insert(name.to_owned(), value);
    }
    environment
        .entry("PATH".to_owned())
        .or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    for variable in pod.container.env.iter().flatten() {
        let value = value(kubelet, pod, variable, &environment).await?;
        environment.insert(variable.name.clone(), value);
    }
    Ok(environment)
}

/// The pod's `command`, or else the image's; likewise the arguments.
pub(crate) fn command_line(pod: &OneContainer<'_>, image: &Config, environment: &Environment) -> Vec<String> {
    let (program, arguments) = match (&pod.container.command, &pod.container.args) {
        (Some(command), arguments) => (command.clone(), arguments.clone().unwrap_or_default()),
        (None, Some(arguments)) => (image.entrypoint.clone(), arguments.clone()),
        (None, None) => (image.entrypoint.clone(), image.cmd.clone()),
    };
    program
        .into_iter()
        .chain(arguments)
        .map(|word| expanded(&word, environment))
        .collect()
}

async fn value(
    kubelet: &Kubelet,
    pod: &OneContainer<'_>,
    variable: &EnvVar,
    known: &Environment,
) -> Result<String> {
    match (&variable.value, &variable.value_from) {
        (value, None) => Ok(expanded(value.as_deref().unwrap_or_default(), known)),
        (_, Some(source)) => from_source(kubelet, pod, source)
            .await
            .with_context(|| format!("the variable {}", variable.name)),
    }
}

async fn from_source(kubelet: &Kubelet, pod: &OneContainer<'_>, source: &EnvVarSource) -> Result<String> {
    if let Some(field) = &source.field_ref {
        return self::field(pod, &field.field_path);
    }
    if let Some(reference) = &source.secret_key_ref {
        let secrets: Api<Secret> = Api::namespaced(kubelet.client.clone(), pod.namespace());
        let mut data = secrets.get(&reference.name).await?.data.unwrap_or_default();
        let value = data
            .remove(&reference.key)
            .context("the Secret has no such key")?;
        return String::from_utf8(value.0).context("its value is not text");
    }
    if let Some(reference) = &source.config_map_key_ref {
        let maps: Api<ConfigMap> = Api::namespaced(kubelet.client.clone(), pod.namespace());
        let mut data = maps.get(&reference.name).await?.data.unwrap_or_default();
        return data
            .remove(&reference.key)
            .context("the ConfigMap has no such key");
    }
    anyhow::bail!("this source is not played: {source:?}")
}

/// A field of the pod by its path.
pub(crate) fn field(pod: &OneContainer<'_>, path: &str) -> Result<String> {
    Ok(match path {
        "metadata.name" => pod.name().to_owned(),
        "metadata.namespace" => pod.namespace().to_owned(),
        "metadata.uid" => pod.pod.metadata.uid.clone().unwrap_or_default(),
        "spec.serviceAccountName" => pod.service_account().to_owned(),
        "status.podIP" | "status.hostIP" => "127.0.0.1".to_owned(),
        _ => anyhow::bail!("the field {path} is not played"),
    })
}

/// `$(NAME)` becomes the variable's value if there is one, and `$$` is a dollar sign.
fn expanded(text: &str, known: &Environment) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((value, after)) = name.and_then(|(name, after)| Some((known.get(name)?, after))) {
            out.push_str(value);
            rest = after;
        } else {
            out.push('$');
        }
    }
    out + rest
}
