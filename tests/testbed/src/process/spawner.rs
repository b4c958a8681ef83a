//! The one thread that starts all children. The kernel's "kill me when my parent dies" means the parent *thread*, and
//! the threads of tests come and go.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

struct Request {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();

pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let requests = SPAWNER.get_or_init(|| {
        let (requests, inbox) = channel();
        std::thread::spawn(move || serve(&inbox));
        requests
    });
    let (answer, child) = channel();
    requests
        .send(Request { command, answer })
        .map_err(io::Error::other)?;
    child.recv().map_err(io::Error::other)?
}

fn serve(inbox: &Receiver<Request>) {
    for mut request in inbox {
        die_with_parent(&mut request.command);
        // An asker that has gone away drops the child unheard; the kernel's net catches it.
        let _ = request.answer.send(request.command.spawn());
    }
}

fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: between fork and exec only prctl and getppid are called, both async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            Ok(())
        });
    }
}
