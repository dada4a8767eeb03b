#!/usr/bin/env bash
# The developers' install of CONTRIBUTING.md: what changes in csrc/ is there at the next import.
# usage: tests/check_editable.sh FOLDER
set -euo pipefail
mkdir -p "$1/tree"
folder=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
git -C "$root" ls-files -z --cached --others --exclude-standard |
  tar -C "$root" --null --files-from=- -c | tar -x -C "$folder/tree"
python3 -m venv "$folder/venv"
export PATH="$folder/venv/bin:$PATH"
core() { python -c 'from makemore import _core; print(_core.__doc__)'; }

pip install -q -e "$folder/tree[cpu]"
before=$(core)
pip install -q 'scikit-build-core>=0.11' pybind11 cmake ninja
pip install -q --no-build-isolation -Ceditable.rebuild=true -e "$folder/tree"
sed -i 's/m.doc() = "The/m.doc() = "The changed/' "$folder/tree/csrc/python/module.cpp"
after=$(core | tail -n 1)  # the rebuild says on stdout what it does
echo "$before -> $after"
[ "$after" = "${before/The/The changed}" ]
mm-inspect
