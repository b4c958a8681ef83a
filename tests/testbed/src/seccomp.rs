//! The filter of system calls behind `seccompProfile: RuntimeDefault`, as far as it matters to a process without capabilities:
//! the calls that containerd's default profile refuses it, new namespaces, and `clone3`, which it says is not there.

/// Refused with `EPERM`.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mbind,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// The flags of `clone` that ask for a namespace.
const NEW_NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

// Of `struct seccomp_data` and of the classic BPF, in linux/seccomp.h and linux/filter.h.
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = 16;
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERROR: u32 = 0x0005_0000;

/// The filter as the kernel takes it: an array of `struct sock_filter`.
pub fn runtime_default() -> Vec<u8> {
    let mut filter = Vec::new();
    let mut say = |code: u16, skip_unless: u8, value: u32| {
        filter.extend(code.to_ne_bytes());
        filter.extend([0, skip_unless]);
        filter.extend(value.to_ne_bytes());
    };
    say(LOAD, 0, NUMBER);
    for call in REFUSED {
        say(JUMP_IF_EQUAL, 1, number(*call));
        say(RETURN, 0, ERROR | libc::EPERM.unsigned_abs());
    }
    // The C library then takes clone for threads.
    say(JUMP_IF_EQUAL, 1, number(libc::SYS_clone3));
    say(RETURN, 0, ERROR | libc::ENOSYS.unsigned_abs());
    say(JUMP_IF_EQUAL, 3, number(libc::SYS_clone));
    say(LOAD, 0, FIRST_ARGUMENT);
    say(JUMP_IF_ANY_BIT, 1, NEW_NAMESPACES.unsigned_abs());
    say(RETURN, 0, ERROR | libc::EPERM.unsigned_abs());
    say(RETURN, 0, ALLOW);
    filter
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}
