#!/usr/bin/env bash
# Replays the samples that carry data and lets the file systems' own tools judge the images.
# judge.sh RINGSIDE; exit code 77 (skipped) when a tool is missing.
set -euo pipefail
ringside=$1
samples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
for tool in e2fsck debugfs ntfsfix ntfscat; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

replay() { # NAME BACKEND
  rm -f "$folder/$1.img"
  "$ringside" replay blk "$samples/$1.iolog" --data "$samples/$1.data.gz" \
    --image "$folder/$1.img" --size 16M --backend "$2"
}

seq 1 20000 >"$folder/written"
for backend in linux classic qdisk; do
  replay ext4-files "$backend"
  e2fsck -fn "$folder/ext4-files.img"
  debugfs -R "dump dir/seq.txt $folder/read" "$folder/ext4-files.img"
  cmp "$folder/written" "$folder/read"

  replay ntfs-files "$backend"
  ntfsfix -n "$folder/ntfs-files.img"
  ntfscat --force "$folder/ntfs-files.img" seq.txt >"$folder/read"
  cmp "$folder/written" "$folder/read"
done
