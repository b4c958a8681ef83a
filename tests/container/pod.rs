//! What a pod says, as far as it is about its one container. Whatever would be left undone is refused.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::Client;
use url::Url;

use crate::container::User;

/// What a kubelet has.
pub(crate) struct Kubelet {
    /// For the contents of volumes and variables, and for tokens.
    pub(crate) client: Client,
    /// Where pods find the API server.
    pub(crate) api_server: Url,
}

/// A pod with one container.
pub(crate) struct OneContainer<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) spec: &'a PodSpec,
    pub(crate) container: &'a Container,
    pub(crate) user: User,
}

impl<'a> OneContainer<'a> {
    /// Looks at everything that [`crate::container`] relies on.
    pub(crate) fn of(pod: &'a Pod) -> Result<Self> {
        let spec = pod.spec.as_ref().context("the pod has no spec")?;
        let [container] = spec.containers.as_slice() else {
            anyhow::bail!("the pod has {} containers, one is played", spec.containers.len());
        };
        anyhow::ensure!(
            spec.init_containers.is_none() && container.lifecycle.is_none(),
            "init containers and hooks are not played"
        );
        anyhow::ensure!(
            spec.host_network != Some(true) && spec.host_pid != Some(true) && spec.host_ipc != Some(true),
            "the pod wants namespaces of the node"
        );
        is_restricted(spec, container)?;
        Ok(Self {
            pod,
            spec,
            container,
            user: user(spec, container)?,
        })
    }

    /// The name or namespace, which every pod has.
    pub(crate) fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub(crate) fn service_account(&self) -> &str {
        self.spec.service_account_name.as_deref().unwrap_or("default")
    }
}

/// bubblewrap can do no less than this, so the pod has to ask for it.
fn is_restricted(spec: &PodSpec, container: &Container) -> Result<()> {
    let security = container.security_context.clone().unwrap_or_default();
    let of_pod = spec.security_context.clone().unwrap_or_default();
    let drops = security
        .capabilities
        .unwrap_or_default()
        .drop
        .is_some_and(|dropped| dropped == ["ALL"]);
    let seccomp = security.seccomp_profile.or(of_pod.seccomp_profile);
    anyhow::ensure!(
        drops
            && security.allow_privilege_escalation == Some(false)
            && security.read_only_root_filesystem == Some(true)
            && seccomp.is_some_and(|profile| profile.type_ == "RuntimeDefault"),
        "the container is not restricted: {:?} {:?}",
        container.security_context,
        spec.security_context
    );
    Ok(())
}

fn user(spec: &PodSpec, container: &Container) -> Result<User> {
    let of_pod = spec.security_context.clone().unwrap_or_default();
    let security = container.security_context.clone().unwrap_or_default();
    let number = |of_container: Option<i64>, of_pod: Option<i64>, what: &str| {
        let number = of_container
            .or(of_pod)
            .with_context(|| format!("the pod has no {what}"))?;
        u32::try_from(number).with_context(|| format!("{what}: {number}"))
    };
    anyhow::ensure!(
        of_pod.supplemental_groups.is_none(),
        "supplemental groups are not played"
    );
    Ok(User {
        id: number(security.run_as_user, of_pod.run_as_user, "runAsUser")?,
        group: number(security.run_as_group, of_pod.run_as_group, "runAsGroup")?,
        fs_group: number(None, of_pod.fs_group, "fsGroup")?,
    })
}
