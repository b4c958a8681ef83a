//! The container: bubblewrap with the image's root file system, the pod's volumes, and as its first process what the pod says.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use testbed::folder::Folder;
use testbed::poll;
use testbed::process::Process;
use testbed::seccomp;

use crate::confinement::Confined;
use crate::environment::{Environment, command_line, environment};
use crate::image::Image;
use crate::pod::{Kubelet, OneContainer};
use crate::probes::Probes;
use crate::volumes::{Mount, mounts};

/// The variable that names bubblewrap's program.
pub(crate) const BUBBLEWRAP: &str = "CLAVIGER_TEST_BUBBLEWRAP";
const PATIENCE: Duration = Duration::from_mins(2);
/// Of every container: what the kubelet and the runtime write.
const SMALL_FILES: [(&str, &str); 3] = [
    ("/etc/hosts", "127.0.0.1 localhost\n"),
    ("/etc/hostname", "claviger-0\n"),
    ("/etc/resolv.conf", ""),
];

/// Whom the container runs as.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) group: u32,
    pub(crate) fs_group: u32,
}

impl Default for User {
    /// The image's.
    fn default() -> Self {
        Self {
            id: 65532,
            group: 65532,
            fs_group: 65532,
        }
    }
}

/// A container that runs. Dropping it kills everything in it.
pub(crate) struct Running {
    probes: Probes,
    process: Process,
    process_id: Pid,
    confined: Confined,
    grace: Duration,
    // The last to go: the container has it open.
    _folder: Folder,
}

impl Running {
    /// Makes the volumes, starts the container, and begins to ask the probes.
    pub(crate) async fn start(kubelet: &Kubelet, pod: &Pod, prepared: &Path) -> Result<Self> {
        let pod = OneContainer::of(pod)?;
        let folder = Folder::new("container")?;
        let_others_pass(folder.path())?;
        let image = Image::unpack(prepared, folder.path())?;
        let mounts = mounts(kubelet, &pod, &folder.join("volumes")).await?;
        let environment = environment(kubelet, &pod, &image.config).await?;
        make_mount_points(&image.root, &mounts)?;
        folder.write("seccomp", seccomp::runtime_default())?;
        let mut command = started_with_files(&folder);
        command
            .args(namespaces(Path::new(&bubblewrap()?), &pod.user))
            .args(["--hostname", pod.name(), "--die-with-parent"])
            .args(["--json-status-fd", "3", "--seccomp", "4"])
            .args(files(&folder, &image.root, &mounts)?)
            .args(variables(&environment))
            .args(["--chdir", &image.config.working_dir, "--"])
            .args(command_line(&pod, &image.config, &environment));
        let mut process = Process::spawn("the container", command, &folder.join("log"))?;
        let process_id = first_process(&mut process, &folder.join("status")).await?;
        let grace = pod.spec.termination_grace_period_seconds.unwrap_or(30);
        Ok(Self {
            probes: Probes::start(pod.container)?,
            process,
            process_id,
            confined: Confined::new(&pod.user, &mounts),
            grace: Duration::from_secs(u64::try_from(grace)?),
            _folder: folder,
        })
    }

    /// Waits until the pod would be sent requests. Fails when the kubelet would start the container again.
    pub(crate) async fn wait_until_ready(&mut self) -> Result<()> {
        let (probes, process) = (&self.probes, &mut self.process);
        let hope = || process.check_alive().and_then(|()| probes.check_alive());
        poll::until_unless("the container to be ready", PATIENCE, hope, async || {
            Ok(probes.is_ready().then_some(()))
        })
        .await
    }

    /// The probes have found the container alive and ready, and never dead.
    pub(crate) fn probes_hold(&self) -> Result<()> {
        self.probes.check_alive()?;
        anyhow::ensure!(self.probes.is_ready(), "the container is not ready any more");
        Ok(())
    }

    /// The container's first process, as this test sees it.
    pub(crate) fn process_id(&self) -> Pid {
        self.process_id
    }

    /// What it may.
    pub(crate) fn confined(&self) -> &Confined {
        &self.confined
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> Result<String> {
        fs::read_to_string(self.process.log()).context("failed to read the container's log")
    }

    /// Ends it as a kubelet does: a signal to its first process, which has the pod's grace period to end.
    pub(crate) fn terminate(&mut self) -> Result<ExitStatus> {
        self.probes.stop();
        kill_process(self.process_id, Signal::TERM).context("failed to signal the container")?;
        self.process.wait_for_exit(self.grace)
    }
}

/// bubblewrap as the pod's user, in namespaces of its own but for the network, without any rights. As root we become that
/// user first; as anybody else it stands for us.
pub(crate) fn namespaces(bubblewrap: &Path, user: &User) -> Vec<OsString> {
    let (id, group) = (user.id.to_string(), user.group.to_string());
    let mut words = Vec::new();
    if rustix::process::geteuid().is_root() {
        words.extend([
            "setpriv".to_owned(),
            format!("--reuid={id}"),
            format!("--regid={group}"),
            format!("--groups={}", user.fs_group),
        ]);
    }
    let mut words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    words.push(bubblewrap.into());
    for word in ["--unshare-user", "--uid", &id, "--gid", &group] {
        words.push(word.into());
    }
    // The first process is the program itself, with no init that would pass signals on.
    for word in ["ipc", "pid", "uts", "cgroup-try"] {
        words.push(format!("--unshare-{word}").into());
    }
    words.extend(["--as-pid-1", "--cap-drop", "ALL"].map(OsString::from));
    words
}

/// Lets the container's user reach what is inside of a folder of ours, if it may be read.
pub(crate) fn let_others_pass(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o711)).context("failed to open a folder")
}

fn bubblewrap() -> Result<OsString> {
    std::env::var_os(BUBBLEWRAP).context("it was not started in a network of its own")
}

/// A shell opens the files that bubblewrap gets by number, and becomes what its arguments say.
fn started_with_files(folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#"status=$1 filter=$2; shift 2; exec "$@" 3>"$status" 4<"$filter""#,
            "sh",
        ])
        .args([folder.join("status"), folder.join("seccomp")]);
    command
}

/// Where something is mounted there has to be something; a runtime makes it above the image.
fn make_mount_points(root: &Path, mounts: &[Mount]) -> Result<()> {
    let make = |path: &str| fs::create_dir_all(inside(root, path));
    for path in ["/proc", "/dev", "/sys"] {
        make(path)?;
    }
    for mount in mounts {
        make(&mount.path)?;
    }
    for (path, _) in SMALL_FILES {
        fs::write(inside(root, path), "")?;
    }
    Ok(())
}

fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The root file system, what every container sees, and the volumes.
fn files(folder: &Folder, root: &Path, mounts: &[Mount]) -> Result<Vec<OsString>> {
    let mut words: Vec<OsString> = vec!["--ro-bind".into(), root.into(), "/".into()];
    words.extend(["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"].map(OsString::from));
    for (path, content) in SMALL_FILES {
        let file = folder.write(&path.replace('/', "-"), content)?;
        fs::set_permissions(&file, Permissions::from_mode(0o644))?;
        words.extend(["--ro-bind".into(), file.into(), path.into()]);
    }
    for mount in mounts {
        let how = if mount.read_only { "--ro-bind" } else { "--bind" };
        words.extend([how.into(), mount.folder.clone().into(), mount.path.clone().into()]);
    }
    Ok(words)
}

fn variables(environment: &Environment) -> Vec<String> {
    let mut words = vec!["--clearenv".to_owned()];
    for (name, value) in environment {
        words.extend(["--setenv".to_owned(), name.clone(), value.clone()]);
    }
    words
}

#[derive(Deserialize)]
struct Status {
    #[serde(rename = "child-pid")]
    child_pid: i32,
}

/// bubblewrap writes a line about the process once it is there.
async fn first_process(process: &mut Process, status: &Path) -> Result<Pid> {
    poll::until_unless(
        "the container's first process",
        PATIENCE,
        || process.check_alive(),
        async || {
            let text = fs::read_to_string(status)?;
            let line = text.lines().next().context("nothing is written yet")?;
            let Status { child_pid } = serde_json::from_str(line)?;
            Ok(Some(Pid::from_raw(child_pid).context("a process 0")?))
        },
    )
    .await
}
