//! An API server with the chart on it, and the pod that the Deployment would have.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::Value;
use testbed::helm::{Helm, Major, Release};
use testbed::{Cluster, ClusterOptions};

use crate::container::Running;
use crate::pod;

/// claviger's own namespace.
pub(crate) const HOME: &str = "claviger";

/// The cluster of one test.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
}

impl World {
    /// Starts it, with the chart and these values.
    pub(crate) async fn install(major: Major, values: Value) -> Result<Self> {
        let cluster = Cluster::start(ClusterOptions::default()).await?;
        let helm = Helm::new_of(major, &cluster.kubeconfig())?;
        helm.install(&Release::new(values)).await?;
        // It publishes the authority of the API server, which pods mount.
        cluster.start_controller_manager().await?;
        Ok(Self { cluster })
    }

    /// Makes a Secret in claviger's namespace.
    pub(crate) async fn create_secret(&self, name: &str, entries: &[(&str, String)]) -> Result<()> {
        let entries: BTreeMap<_, _> = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        let secret = Secret {
            metadata: named(name),
            string_data: Some(entries),
            ..Secret::default()
        };
        let api: Api<Secret> = Api::namespaced(self.cluster.client()?, HOME);
        api.create(&PostParams::default(), &secret).await?;
        Ok(())
    }

    /// Makes the pod of the Deployment's template, as its controller would. The API server completes it: defaults, and the
    /// volume with the ServiceAccount's token.
    pub(crate) async fn create_pod(&self) -> Result<Pod> {
        let client = self.cluster.client()?;
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), HOME);
        let deployment = deployments.get("claviger").await?;
        let template = deployment.spec.context("a Deployment without a spec")?.template;
        let pods: Api<Pod> = Api::namespaced(client, HOME);
        let pod = Pod {
            metadata: ObjectMeta {
                name: Some("claviger-0".to_owned()),
                ..template.metadata.unwrap_or_default()
            },
            spec: template.spec,
            ..Pod::default()
        };
        let made = pods.create(&PostParams::default(), &pod).await;
        made.context("the API server refuses the pod")
    }

    /// Runs the pod's container.
    pub(crate) async fn start(&self, pod: &Pod, prepared: &Path) -> Result<Running> {
        let kubelet = pod::Kubelet {
            client: self.cluster.client()?,
            api_server: self.cluster.url().parse().context("the API server has no URL")?,
        };
        Running::start(&kubelet, pod, prepared).await
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}
