//! Disks that fill up, break, or do not answer while claviger serves, and when it starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use testbed::browser::Browser;
use testbed::claviger::ClavigerOptions;
use testbed::disk::Disk;
use testbed::folder::Folder;
use testbed::poll;
use testbed::process::Process;
use testbed::relying_party::{RelyingParty, Tokens};

use crate::harness::{PATIENCE, Served, StoreKind, World, code, refused, tokens};
use crate::wire::{self, Reply};

/// A disk whose faults are switched, for the store of a claviger that is being launched.
fn disk_of(options: &mut ClavigerOptions) -> Disk {
    let store = PathBuf::from(options.store.strip_prefix("sled:").unwrap());
    let disk = Disk::new(&store, &store.with_file_name("control")).unwrap();
    options.environment.extend(disk.environment());
    disk
}

/// What needs no write is answered.
async fn reads_go_on(served: &Served, tokens: &Tokens) {
    let port = served.port();
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        let reply = wire::send(port, &wire::get(port, path, &[])).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
    }
    let bearer = format!("Bearer {}", tokens.access_token);
    let reply = wire::send(
        port,
        &wire::get(port, "/api/userinfo", &[("Authorization", &bearer)]),
    )
    .await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

async fn refresh(served: &Served, app: &RelyingParty, tokens: &Tokens) -> Reply {
    let port = served.port();
    let token = tokens.refresh_token.as_deref().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    wire::send(port, &wire::token(port, app, &form)).await
}

fn is_unavailable(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(!reply.header("retry-after").is_empty());
}

/// Resident memory in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A file system in memory that is as large as wanted and goes away with the process that holds it. Needs the rights to
/// mount in a namespace of its own.
struct SmallDisk {
    holder: Process,
    folder: Folder,
    is_superuser: bool,
}

impl SmallDisk {
    async fn mount(mebibytes: usize) -> Option<Self> {
        for is_superuser in [true, false] {
            let folder = Folder::new("small-disk").unwrap();
            let place = folder.join("disk");
            fs::create_dir(&place).unwrap();
            let mut command = Command::new("unshare");
            if !is_superuser {
                command.args(["--user", "--map-root-user"]);
            }
            let script = format!(
                "mount -t tmpfs -o size={mebibytes}m,mode=0700 tmpfs '{0}' && touch '{1}' && exec sleep infinity",
                place.display(),
                folder.join("mounted").display(),
            );
            command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
            let mut holder = Process::spawn("small disk", command, &folder.join("log")).ok()?;
            let mounted = folder.join("mounted");
            let looked = poll::until_unless(
                "the small disk",
                PATIENCE,
                || holder.check_alive(),
                async || Ok(mounted.exists().then_some(())),
            )
            .await;
            if looked.is_ok() {
                return Some(Self {
                    holder,
                    folder,
                    is_superuser,
                });
            }
        }
        None
    }

    /// A program that runs claviger where the disk is.
    fn program(&self, claviger: &Path) -> PathBuf {
        let user = if self.is_superuser {
            ""
        } else {
            "--user --preserve-credentials"
        };
        let script = format!(
            "#!/bin/sh\nexec nsenter --target {} --mount {user} -- '{}' \"$@\"\n",
            self.holder.id(),
            claviger.display()
        );
        let path = self.folder.write("claviger.sh", script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&path, mode).unwrap();
        path
    }

    /// Makes it read-only, or writable again.
    fn remount(&self, how: &str) {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !self.is_superuser {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--", "mount", "-o", &format!("remount,{how}")]);
        let status = command.arg(self.folder.join("disk")).status().unwrap();
        assert!(status.success(), "remount,{how}: {status}");
    }

    fn store(&self) -> PathBuf {
        self.folder.join("disk").join("store")
    }

    /// A file of the disk, as this process sees it.
    fn seen(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        let inside = self.folder.join("disk").join(name);
        Path::new(&root).join(inside.strip_prefix("/").unwrap())
    }

    /// Writes a file of so many MiB, or as much as there is room for.
    fn fill(&self, name: &str, mebibytes: usize) {
        use std::io::Write;
        let mut file = fs::File::create(self.seen(name)).unwrap();
        for _ in 0..mebibytes * 256 {
            if file.write_all(&[1; 4096]).is_err() {
                return;
            }
        }
    }

    fn free(&self, name: &str) {
        fs::remove_file(self.seen(name)).unwrap();
    }
}

/// A disk that fills up, while claviger serves and when it starts: what needs no write goes on, what needs one is told to
/// come again, and everything goes on by itself once there is room. Nothing is damaged.
#[tokio::test]
async fn rule_82_a_full_disk() {
    let Some(disk) = SmallDisk::mount(112).await else {
        println!("skipped: this machine lets nobody mount a small disk");
        return;
    };
    let world = World::shared();
    let mut served = world
        .serve_with(StoreKind::Sled, |options| {
            options.store = format!("sled:{}", disk.store().display());
            options.program = disk.program(&options.program);
        })
        .await;
    let app = served.app("shop", json!({})).await;
    let browser = Browser::new().unwrap();
    let tokens = tokens(&app, &browser).await;
    let (request, waiting) = code(&app, &browser).await;

    // Less than the reserve is left.
    disk.fill("ballast", 60);
    is_unavailable(&refresh(&served, &app, &tokens).await);
    reads_go_on(&served, &tokens).await;
    // Nothing at all is left.
    disk.fill("more", 200);
    is_unavailable(&refresh(&served, &app, &tokens).await);
    reads_go_on(&served, &tokens).await;
    assert!(
        served
            .claviger
            .log()
            .contains("the store takes no writes until there is room")
    );
    disk.free("more");
    disk.free("ballast");
    let app_again = app.redeem(&request, &waiting).await.unwrap();
    assert!(app_again.is_ok(), "{}", refused(app_again));

    disk.fill("ballast", 60);
    served.claviger.kill9();
    served.claviger.restart().await.unwrap();
    reads_go_on(&served, &tokens).await;
    is_unavailable(&refresh(&served, &app, &tokens).await);
    disk.free("ballast");
    let reply = refresh(&served, &app, &tokens).await;
    assert_eq!(reply.status, 200, "{reply:?}");

    // With not a byte left sled cannot open: that is said, and nothing is damaged by it.
    served.claviger.kill9();
    disk.fill("more", 200);
    served.claviger.relaunch().unwrap();
    let status = served.claviger.process().wait_for_exit(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(1));
    let log = served.claviger.log();
    let last = log.lines().last().unwrap();
    for part in ["unable to open the store `", "No space left on device"] {
        assert!(last.contains(part), "no `{part}` in `{last}`");
    }
    disk.free("more");
    served.claviger.restart().await.unwrap();
    reads_go_on(&served, &tokens).await;
    println!("full disk: reads went on, writes were refused with 503, 0 damaged, opened after room was made");
}

/// A disk that is read-only when claviger starts is refused with what to do, and opens once it is writable.
#[tokio::test]
async fn a_read_only_disk() {
    let Some(disk) = SmallDisk::mount(112).await else {
        println!("skipped: this machine lets nobody mount a small disk");
        return;
    };
    let mut served = World::shared()
        .serve_with(StoreKind::Sled, |options| {
            options.store = format!("sled:{}", disk.store().display());
            options.program = disk.program(&options.program);
        })
        .await;
    let app = served.app("shop", json!({})).await;
    let tokens = tokens(&app, &Browser::new().unwrap()).await;
    assert!(served.claviger.stop().success());
    disk.remount("ro");
    served.claviger.relaunch().unwrap();
    let status = served.claviger.process().wait_for_exit(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(1));
    let log = served.claviger.log();
    let last = log.lines().last().unwrap();
    for part in [
        "unable to open the store `",
        "Read-only file system",
        "a folder on a writable disk",
    ] {
        assert!(last.contains(part), "no `{part}` in `{last}`");
    }
    disk.remount("rw");
    served.claviger.restart().await.unwrap();
    let reply = refresh(&served, &app, &tokens).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// A disk that fails in the middle of a write, without a warning: claviger says so and ends, since nobody knows what the
/// disk holds, and the next start finds everything that was acknowledged.
#[tokio::test]
async fn a_disk_that_breaks_forgets_nothing() {
    for what in ["full", "broken"] {
        let mut disk = None;
        let mut served = World::shared()
            .serve_with(StoreKind::Sled, |options| disk = Some(disk_of(options)))
            .await;
        let disk = disk.unwrap();
        let app = served.app("shop", json!({})).await;
        let browser = Browser::new().unwrap();
        let before = tokens(&app, &browser).await;
        let (request, spent) = code(&app, &browser).await;
        let redeemed = app.redeem(&request, &spent).await.unwrap().unwrap();

        let switch = |on| match what {
            "full" => disk.fill(on),
            _ => disk.break_syncs(on),
        };
        switch(true).unwrap();
        let token = before.refresh_token.as_deref().unwrap();
        // It may be answered 503, or the process may be gone first.
        if let Ok(Ok(_)) = app.refresh(token).await {
            panic!("{what}: a refresh that the disk does not hold was acknowledged");
        }
        let status = served.claviger.process().wait_for_exit(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(1), "{what}");
        assert!(
            served
                .claviger
                .log()
                .contains("the store failed and was left as it is"),
            "{what}"
        );

        switch(false).unwrap();
        served.claviger.restart().await.unwrap();
        let token = redeemed.refresh_token.as_deref().unwrap();
        let fresh = app.refresh(token).await.unwrap();
        assert!(fresh.is_ok(), "{what}: {}", refused(fresh));
        assert_eq!(
            refused(app.redeem(&request, &spent).await.unwrap()),
            "invalid_grant"
        );
    }
}

/// A disk that does not answer while claviger serves: whoever needs a write is told to come again in time, everybody else
/// is answered, memory does not grow, and everything goes on by itself afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_82_a_disk_that_does_not_answer() {
    /// How many come at once, again and again.
    const CROWD: usize = 50;
    let rounds = testbed::scale::count(3, 12);
    let mut disk = None;
    let mut served = World::shared()
        .serve_with(StoreKind::Sled, |options| disk = Some(disk_of(options)))
        .await;
    let disk = disk.unwrap();
    let app = served.app("shop", json!({})).await;
    let browser = Browser::new().unwrap();
    let (tokens, for_the_crowd) = (tokens(&app, &browser).await, tokens(&app, &browser).await);
    let port = served.port();
    let process = served.claviger.process().id();

    disk.freeze(true).unwrap();
    let frozen = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut memory = Vec::new();
    for _ in 0..rounds {
        let token = for_the_crowd.refresh_token.as_deref().unwrap();
        let request = wire::token(
            port,
            &app,
            &[("grant_type", "refresh_token"), ("refresh_token", token)],
        );
        let since = Instant::now();
        let crowd = wire::at_once(port, vec![request; CROWD]);
        let reads = async {
            for _ in 0..10 {
                reads_go_on(&served, &tokens).await;
            }
        };
        let (replies, ()) = tokio::join!(crowd, reads);
        slowest = slowest.max(since.elapsed());
        replies.iter().for_each(is_unavailable);
        memory.push(resident(process));
    }
    let frozen = frozen.elapsed();
    disk.freeze(false).unwrap();

    // The crowd's first operations had begun, so whoever presents that token again is told something or the other.
    let answer = refresh(&served, &app, &for_the_crowd).await;
    assert!([200, 400].contains(&answer.status), "{answer:?}");
    let answer = refresh(&served, &app, &tokens).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    crate::harness::tokens(&app, &browser).await;
    assert_eq!(served.claviger.process().id(), process);
    println!(
        "frozen disk: {} s, {} writes refused, the slowest after {} ms; reads answered all the while; resident memory \
         {} KiB after the first {CROWD}, {} KiB after the last; went on by itself",
        frozen.as_secs(),
        rounds * CROWD,
        slowest.as_millis(),
        memory[0],
        memory[memory.len() - 1],
    );
    assert!(
        memory[memory.len() - 1] < memory[0] + memory[0] / 5,
        "memory grows while the disk does not answer: {memory:?} KiB"
    );
}
