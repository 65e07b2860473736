#!/bin/sh
# run.sh [--minutes N] [--out FOLDER] [--software] [...]: unpacks pack.tar.xz beside this file and runs test/device/run.mjs in it.
# Nothing is read or written outside of the temporary folder, the folder of results and the graphics driver.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=${FUSENET_WORK:-$(mktemp -d -t fusenet-device.XXXXXX)}
if [ ! -x "$work/node/node" ]; then
  mkdir -p "$work"
  tar -C "$work" -xJf "$here/pack.tar.xz" 2>/dev/null ||
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$here/pack.tar.xz" "$work"
fi
export FUSENET_PACK="$work"
libraries="$work/vulkan:$work/libraries"
for argument; do
  case $argument in
    --software) export VK_DRIVER_FILES="$work/vulkan/vk_swiftshader_icd.json" VK_ICD_FILENAMES="$work/vulkan/vk_swiftshader_icd.json" ;;
  esac
done
# A driver that the loader does not find by itself: drivers are sometimes mounted apart from the system.
if [ -z "$VK_DRIVER_FILES" ] && ! ls /etc/vulkan/icd.d/*.json /usr/share/vulkan/icd.d/*.json >/dev/null 2>&1; then
  for file in /usr/local/*/share/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json /opt/*/share/vulkan/icd.d/*.json; do
    [ -e "$file" ] && export VK_DRIVER_FILES="$file" VK_ICD_FILENAMES="$file" && break
  done
fi
# The system's own loader, where there is one, goes before ours.
if ldconfig -p 2>/dev/null | grep -q libvulkan.so.1; then libraries="$work/libraries"; fi
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries"
exec "$work/node/node" "$work/test/device/run.mjs" "$@"
