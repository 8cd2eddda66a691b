#!/usr/bin/env bash
# Brings the archive of a release, compares its digest before anything opens it, unpacks it, and sets
# KOKORO_MODEL_ARTIFACT for the steps that follow. Needs curl, tar, zstd, and sha256sum or shasum.
#
# Read: ARCHIVE, SHA256, FOLDER (may be empty), RUNNER_TEMP. Written to: GITHUB_ENV, GITHUB_OUTPUT.
set -euo pipefail

fail() {
    printf 'error: %s\n' "$1" >&2
    exit "${2:-3}"
}

archive=${ARCHIVE:?} expected=${SHA256:?} folder=${FOLDER:-${RUNNER_TEMP:?}/kokoro-model}
[[ $expected =~ ^[0-9a-f]{64}$ ]] || fail "sha256: expected 64 lower-case hex digits, found \`$expected\`" 2
# A line feed would begin another variable in GITHUB_ENV.
[[ $folder != *$'\n'* ]] || fail "folder: the path has a line feed in it" 2
[[ ! -e $folder ]] || fail "\`$folder\` is there already" 2

mkdir -p "$(dirname "$folder")"
folder="$(cd "$(dirname "$folder")" && pwd)/$(basename "$folder")"
# Beside the folder, so that what is complete is only renamed.
work="$(mktemp -d "$folder.XXXXXX")"
trap 'rm -rf "$work"' EXIT

case $archive in
    https://*) protocols='=https' ;;
    http://*) protocols='=http,https' ;;
    *) protocols='' ;;
esac
if [[ -n $protocols ]]; then
    curl --proto "$protocols" --fail --location --silent --show-error --retry 3 --output "$work/archive" -- "$archive" ||
        fail "\`$archive\` cannot be downloaded"
else
    cp -- "$archive" "$work/archive" || fail "\`$archive\` cannot be read"
fi

if command -v sha256sum > /dev/null; then
    found="$(sha256sum "$work/archive")"
else
    found="$(shasum -a 256 "$work/archive")"
fi
found=${found%% *}
if [[ $found != "$expected" ]]; then
    fail "wrong digest of \`$archive\`
  expected sha256 $expected
  found    sha256 $found"
fi

mkdir "$work/model"
# The folder that everything in the archive lies in is left out.
zstd --decompress --stdout --quiet "$work/archive" | tar -x -f - -C "$work/model" --strip-components 1 ||
    fail "\`$archive\` cannot be unpacked"
[[ -f $work/model/chosen.json ]] || fail "\`$archive\` has no \`chosen.json\`: it is no archive of a model"
mv "$work/model" "$folder"

printf 'KOKORO_MODEL_ARTIFACT=%s\n' "$folder/chosen.json" >> "${GITHUB_ENV:?}"
printf 'chosen=%s\n' "$folder/chosen.json" >> "${GITHUB_OUTPUT:?}"
printf '%s\n' "$folder/chosen.json"
