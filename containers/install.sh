#!/bin/sh
# Installs uqdm from a folder of its source into /opt/uqdm, in a Debian 12 root; both container files run it.
#   install.sh SOURCE
# TORCH_INDEX: address of PyTorch's index of CPU wheels, or of another build of CUDA; empty for the one with CUDA that the
# package index has. EXTRAS: of pyproject.toml, separated by commas.
set -eu
source=$1
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
rm -rf /var/lib/apt/lists/*

python3 -m venv /opt/uqdm
/opt/uqdm/bin/pip install --no-cache-dir -c "$source/requirements.lock" \
    ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$source[${EXTRAS:-codecs}]"
/opt/uqdm/bin/uqdm --version
