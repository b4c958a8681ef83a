#!/usr/bin/env bash
# playwright-core and axe, which drive Chromium in the browser tests: from npm into tests/browser/node_modules/.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

browser=$root/tests/browser
stamp=$browser/node_modules/.installed

installed() { cmp -s "$browser/package-lock.json" "$stamp"; }

installed && exit 0
need npm "install what drives the browser"
lock node
installed && exit 0
say "installing playwright-core and axe from npm into tests/browser/node_modules: a few seconds, once"
(cd "$browser" && npm ci --silent) || fail "npm failed to install the packages of tests/browser/package-lock.json"
cp "$browser/package-lock.json" "$stamp"
