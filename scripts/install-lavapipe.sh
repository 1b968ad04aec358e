#!/usr/bin/env bash
# Installs Mesa's lavapipe, a GPU in software, with the Vulkan loader. Debian 12's own Mesa is too old; its backports have 25.0.
set -euo pipefail
if compgen -G '/usr/share/vulkan/icd.d/lvp_icd*.json' && compgen -G '/usr/lib/*/libvulkan.so.1'; then
  exit
fi
. /etc/os-release
from=()
if [ "$ID:$VERSION_ID" = debian:12 ]; then
  from=(-t bookworm-backports)
  # The same mirror as for the other packages.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' | head -n 1)
  grep -qrs bookworm-backports /etc/apt/sources.list /etc/apt/sources.list.d ||
    echo "deb $mirror bookworm-backports main" > /etc/apt/sources.list.d/bookworm-backports.list
fi
apt-get update
apt-get install -y --no-install-recommends "${from[@]}" mesa-vulkan-drivers libvulkan1
