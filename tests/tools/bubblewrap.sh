#!/usr/bin/env bash
# bwrap, which runs the chart's container without a node: BWRAP if set, else one on the PATH, else out of Debian's or Ubuntu's
# package bubblewrap, which is downloaded (50 kB) and not installed. Prints its path.
# shellcheck source=tests/tools/debian.sh
. "$(dirname "$0")/debian.sh"

program BWRAP bwrap bubblewrap
