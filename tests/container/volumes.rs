//! The volumes of a pod as folders: contents as the kubelet gets them from the API server, owner and modes as it sets them
//! for `fsGroup`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, KeyToPath, Secret, ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeMount,
    VolumeProjection,
};
use kube::Api;
use kube::api::PostParams;

use crate::container::User;
use crate::environment::field;
use crate::pod::{Kubelet, OneContainer};

/// A folder and where the container sees it.
pub(crate) struct Mount {
    pub(crate) folder: PathBuf,
    pub(crate) path: String,
    pub(crate) read_only: bool,
}

/// What a volume holds in the beginning.
enum Contents {
    /// Nothing, and the container writes into it. With the mode of the folder.
    Empty(u32),
    /// Files with their mode.
    Files(Vec<(String, Vec<u8>)>, u32),
}

/// Makes every volume that the container mounts, inside of a folder.
pub(crate) async fn mounts(kubelet: &Kubelet, pod: &OneContainer<'_>, folder: &Path) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for mount in pod.container.volume_mounts.iter().flatten() {
        anyhow::ensure!(
            mount.sub_path.is_none() && mount.mount_propagation.is_none(),
            "parts of volumes and propagation are not played: {mount:?}"
        );
        mounts.push(make(kubelet, pod, mount, folder).await?);
    }
    Ok(mounts)
}

async fn make(
    kubelet: &Kubelet,
    pod: &OneContainer<'_>,
    mount: &VolumeMount,
    folder: &Path,
) -> Result<Mount> {
    let mut volumes = pod.spec.volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == mount.name);
    let volume = volume.with_context(|| format!("the pod has no volume {}", mount.name))?;
    let contents = contents(kubelet, pod, volume)
        .await
        .with_context(|| format!("the volume {}", volume.name))?;
    let folder = folder.join(&volume.name);
    write(&folder, &contents, &pod.user)
        .with_context(|| format!("failed to make the volume {}", volume.name))?;
    Ok(Mount {
        folder,
        path: mount.mount_path.clone(),
        read_only: mount.read_only == Some(true) || matches!(contents, Contents::Files(..)),
    })
}

async fn contents(kubelet: &Kubelet, pod: &OneContainer<'_>, volume: &Volume) -> Result<Contents> {
    if volume.empty_dir.is_some() {
        return Ok(Contents::Empty(0o777));
    }
    if volume.persistent_volume_claim.is_some() {
        return Ok(Contents::Empty(0o755));
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let files = secret(kubelet, pod, name, source.items.as_deref()).await?;
        return Ok(Contents::Files(files, mode(source.default_mode)?));
    }
    if let Some(source) = &volume.projected {
        let mut files = Vec::new();
        for source in source.sources.iter().flatten() {
            files.extend(projection(kubelet, pod, source).await?);
        }
        return Ok(Contents::Files(files, mode(source.default_mode)?));
    }
    anyhow::bail!("this kind of volume is not played: {volume:?}")
}

async fn projection(
    kubelet: &Kubelet,
    pod: &OneContainer<'_>,
    source: &VolumeProjection,
) -> Result<Vec<(String, Vec<u8>)>> {
    if let Some(source) = &source.service_account_token {
        let token = token(kubelet, pod, source).await?;
        return Ok(vec![(source.path.clone(), token.into_bytes())]);
    }
    if let Some(source) = &source.config_map {
        let maps: Api<ConfigMap> = Api::namespaced(kubelet.client.clone(), pod.namespace());
        let data = maps.get(&source.name).await?.data.unwrap_or_default();
        let files = data.into_iter().map(|(key, value)| (key, value.into_bytes()));
        return chosen(files.collect(), source.items.as_deref());
    }
    if let Some(source) = &source.secret {
        return secret(kubelet, pod, &source.name, source.items.as_deref()).await;
    }
    let source = source.downward_api.as_ref().context("an unknown projection")?;
    let files = source.items.iter().flatten().map(|item| {
        let path = &item.field_ref.as_ref().context("not a field")?.field_path;
        Ok((item.path.clone(), field(pod, path)?.into_bytes()))
    });
    files.collect()
}

async fn secret(
    kubelet: &Kubelet,
    pod: &OneContainer<'_>,
    name: &str,
    items: Option<&[KeyToPath]>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let secrets: Api<Secret> = Api::namespaced(kubelet.client.clone(), pod.namespace());
    let data = secrets.get(name).await?.data.unwrap_or_default();
    chosen(
        data.into_iter().map(|(key, value)| (key, value.0)).collect(),
        items,
    )
}

/// All keys under their own names, or those that are listed under the listed names.
fn chosen(data: Vec<(String, Vec<u8>)>, items: Option<&[KeyToPath]>) -> Result<Vec<(String, Vec<u8>)>> {
    let Some(items) = items else { return Ok(data) };
    let files = items.iter().map(|item| {
        let found = data.iter().find(|(key, _)| *key == item.key);
        let (_, value) = found.with_context(|| format!("there is no key {}", item.key))?;
        Ok((item.path.clone(), value.clone()))
    });
    files.collect()
}

/// A token that is good while the pod is there.
async fn token(
    kubelet: &Kubelet,
    pod: &OneContainer<'_>,
    source: &ServiceAccountTokenProjection,
) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(kubelet.client.clone(), pod.namespace());
    let wanted = TokenRequest {
        spec: TokenRequestSpec {
            audiences: source.audience.iter().cloned().collect(),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: pod.pod.metadata.name.clone(),
                uid: pod.pod.metadata.uid.clone(),
            }),
            expiration_seconds: source.expiration_seconds,
        },
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request(pod.service_account(), &PostParams::default(), &wanted)
        .await?;
    let status = made.status.context("the API server answered without a token")?;
    Ok(status.token)
}

fn mode(default: Option<i32>) -> Result<u32> {
    let mode = default.context("the API server left the mode of files out")?;
    Ok(u32::try_from(mode)?)
}

/// The group may always do what the volume is for: write where there is nothing yet, read where there are files. Files are
/// links through `..data`, so that all of them change at once.
fn write(folder: &Path, contents: &Contents, user: &User) -> Result<()> {
    fs::create_dir_all(folder)?;
    match contents {
        Contents::Empty(mode) => give(folder, mode | 0o2770, user),
        Contents::Files(files, mode) => {
            let version = folder.join("..version");
            fs::create_dir(&version)?;
            for (name, content) in files {
                let path = version.join(name);
                fs::write(&path, content)?;
                give(&path, mode | 0o440, user)?;
                symlink(Path::new("..data").join(name), folder.join(name))?;
            }
            symlink("..version", folder.join("..data"))?;
            give(&version, 0o2755, user)?;
            give(folder, 0o2755, user)
        }
    }
}

/// Only root may give something to a group that it is not in; as anybody else our own group stands for the pod's.
fn give(path: &Path, mode: u32, user: &User) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        chown(path, None, Some(user.fs_group))?;
    }
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}
