#!/usr/bin/env bash
# `make mutants ROOM=accounts [FILE=rest] [TESTS="…"]`: change the code of one room in small ways,
# one at a time (mutmut), run the room's tests against each change, list the changes no test noticed.
# A second run tries what is new and what survived. docs/developer-guide.md, "Mutation testing".
set -euo pipefail
room=${1:?ROOM is a folder or file of esg_pipeline: accounts, clock, scoring/api}
file=${2:-}
tests=${3:-}
root=$(cd "$(dirname "$0")/../.." && pwd)
world=$root/build/mutants/${room//\//.}${file:+.$file}

if [ -d "$root/esg_pipeline/$room" ]; then
  mutated=esg_pipeline/$room/${file:-*}${file:+.py} # a folder inside is a room of its own
  tests=${tests:-esg_pipeline_tests/$room}
else
  mutated=esg_pipeline/$room.py
  tests=${tests:-esg_pipeline_tests/$(dirname "$room")/test_$(basename "$room").py}
fi

# mutmut works in a folder of its own, whose entries are links to this checkout
mkdir -p "$world/mutants"
for entry in "$root"/*; do
  case ${entry##*/} in
    build | setup.cfg) ;;
    *) ln -sfn "$entry" "$world/" ;;
  esac
done
cd "$world"
{
  printf '[mutmut]\nsource_paths=esg_pipeline\nonly_mutate=%s\n' "$mutated"
  printf 'do_not_mutate=esg_pipeline/%s/*/*\n' "$room"
  printf 'also_copy=\n'
  printf '    %s\n' esg_pipeline_tests docs deploy benchmarks dagster.yaml mkdocs.yml README.md CHANGELOG.md
  printf 'pytest_add_cli_args=\n    -n\n    0\n    -p\n    no:cacheprovider\n    -p\n    esg_pipeline_tests.mutants.quickest_first\n'
  printf 'pytest_add_cli_args_test_selection=\n'
  # shellcheck disable=SC2086  # several paths or options
  printf '    %s\n' $tests
  # each test's own time times this, so that a loop without end is stopped, and a busy machine is not
  printf 'timeout_multiplier=10\ntimeout_constant=3\n'
  printf 'process_isolation=forkserver\nuse_git_change_detection=false\non_dependency_change=ignore\n'
} >setup.cfg
rm -rf mutants/esg_pipeline_tests # so that a test deleted here is deleted there

# processes that the tests start must import the changed code too
export PYTHONPATH=$world/mutants:$root/esg_pipeline_tests/mutants
mutmut=$root/.venv/bin/mutmut
unnoticed() { "$mutmut" results | sed -nE 's/^ +(.*): (survived|no tests|suspicious|segfault)$/\1/p'; }
try_changes() { # the log has mutmut's progress, and the tests' output if they fail unchanged
  "$mutmut" run --max-children "${CHILDREN:-2}" "$@" >log 2>&1 || {
    tr '\r' '\n' <log | tail -40
    exit 1
  }
}

before=$([ ! -f mutants/mutmut-stats.json ] || unnoticed)
try_changes
# shellcheck disable=SC2086  # one name a word
[ -z "$before" ] || try_changes $before

# shellcheck disable=SC2046
"$root/.venv/bin/python" - $(unnoticed) >unnoticed.diff <<'SHOW'
import sys
from mutmut.__main__ import cli

for name in sys.argv[1:]:
    cli(["show", name], standalone_mode=False)
SHOW
"$mutmut" results --all true | awk '
  { total++; how[$NF]++; if ($NF == "survived" || $NF == "tests") print }
  END {
    killed = how["killed"] + how["timeout"] + how["segfault"]
    printf "\n%d changes: %d killed, %d survived, %d without a test: %.1f %% killed\n",
      total, killed, how["survived"], how["tests"], 100 * killed / total
  }'
echo "The changes no test noticed: ${world#"$root"/}/unnoticed.diff"
