//! Giving up what a parser does not need. Each step is an error where it fails: a child that is not confined does not serve.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

/// How much a child may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Address space in bytes, the program and its stacks with it.
    pub address_space: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { address_space: 1024 * 1024 * 1024 }
    }
}

/// The descriptors that the grammar opens and closes for each text: its own standard error, through a pipe.
const DESCRIPTORS: u64 = 16;

/// Gives up everything but standard input and output, memory up to the limit, and the end.
///
/// # Errors
/// The kernel refuses a step.
pub fn confine(limits: Limits) -> io::Result<()> {
    std::env::set_current_dir("/")?;
    close_inherited()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    prctl::set_dumpable(false)?;
    prctl::set_no_new_privs()?;
    for (resource, limit) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS),
        (Resource::RLIMIT_AS, limits.address_space),
    ] {
        setrlimit(resource, limit, limit)?;
    }
    apply_filter_all_threads(&filter()?).map_err(io::Error::other)
}

/// Closes whatever the parent left open: it opens all that is its own for itself alone, but not all libraries do.
fn close_inherited() -> io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    // The folder's own is among them and closed by now.
    for descriptor in open {
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// The calls that are left. Any other fails as not permitted, `execve`, `openat`, `socket` and `clone` among them.
fn filter() -> io::Result<BpfProgram> {
    let free = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_close,
        libc::SYS_fcntl,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_pipe2,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_dup2,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pipe,
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        // How it dies where it must: an abort, or the second fault after the handler of the first has stepped aside.
        libc::SYS_rt_sigaction,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_sched_yield,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = free.into_iter().map(|call| (call, Vec::new())).collect();
    // Memory that can be run is not to be had, and nobody else is to be killed.
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let own = u64::from(std::process::id());
    for (call, argument, operator, value) in [
        (libc::SYS_mmap, 2, SeccompCmpOp::MaskedEq(executable), 0),
        (libc::SYS_mprotect, 2, SeccompCmpOp::MaskedEq(executable), 0),
        (libc::SYS_tgkill, 0, SeccompCmpOp::Eq, own),
    ] {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value);
        let rule = condition.and_then(|condition| SeccompRule::new(vec![condition])).map_err(io::Error::other)?;
        rules.insert(call, vec![rule]);
    }
    let target = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, target).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}
