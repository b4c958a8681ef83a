# shellcheck shell=bash
# Sourced by the scripts beside it: where things go, one build at a time, and how they speak.
# Everything lands in the ignored folder .cache/; nothing is installed into the system except where a script says so.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cache=$root/.cache
mkdir -p "$cache"
# go and npm want a home folder for their own caches, and a build account may have none.
export HOME=${HOME:-$cache/home}

say() { echo "tools: $*" >&2; }
fail() { say "$*"; exit 1; }

# lock NAME: one process at a time gets past here; the lock goes with the process.
lock() {
	exec 9>"$cache/$1.lock"
	flock --nonblock 9 || { say "waiting for another run that is making $1"; flock 9; }
}

# need PROGRAM WHAT-FOR
need() { command -v "$1" >/dev/null || fail "$1 is missing, it is needed to $2"; }
