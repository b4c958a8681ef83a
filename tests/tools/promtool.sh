#!/usr/bin/env bash
# promtool for the tests of the alert rules: PROMTOOL if set, else one on the PATH, else out of Debian's or Ubuntu's
# package prometheus, which is downloaded (20 MB) and not installed. Prints its path.
# shellcheck source=tests/tools/debian.sh
. "$(dirname "$0")/debian.sh"

program PROMTOOL promtool prometheus
