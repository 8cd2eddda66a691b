# Stands in for the GitHub CLI: keeps one release in the folder STATE, records each call, and misbehaves as the file
# `fault` there says. It is no proof of what the real one does.
state='STATE'
{ pwd; printf '%s\n' gh "$@" --end--; } >> "$state/calls"
fault=$(cat "$state/fault" 2>/dev/null)
step="$1 $2"
case "$fault" in
    "$step: fail") echo "HTTP 502: Bad Gateway" >&2; exit 1 ;;
    "$step: hang") echo "connecting" >&2; exec sleep 1000 ;;
esac

case "$step" in
"auth status")
    [ -e "$state/token" ] || { echo "You are not logged into any GitHub hosts. To log in, run: gh auth login" >&2; exit 1; }
    ;;
"release view")
    if [ -s "$state/late" ]; then
        sed -i 1d "$state/late"
        echo "release not found" >&2
        exit 1
    fi
    [ -e "$state/release" ] || { echo "release not found" >&2; exit 1; }
    printf '{"assets":['
    comma=
    for asset in "$state"/assets/*; do
        [ -f "$asset" ] || continue
        digest="\"sha256:$(sha256sum < "$asset" | cut -d ' ' -f 1)\""
        [ ! -e "$state/without-digests" ] || digest=null
        uploaded=uploaded
        [ ! -e "$state/unfinished/${asset##*/}" ] || { uploaded=starter; digest=null; }
        printf '%s{"name":"%s","size":%s,"state":"%s","digest":%s,"label":""}' \
            "$comma" "${asset##*/}" "$(wc -c < "$asset")" "$uploaded" "$digest"
        comma=,
    done
    printf '],"isDraft":%s,"url":"https://example.com/releases/%s"}\n' "$(cat "$state/release")" "$3"
    ;;
"release create")
    case "$*" in *--draft*--verify-tag*) ;; *) echo "no draft, or no tag" >&2; exit 1 ;; esac
    [ ! -e "$state/release" ] || { echo "a release with the same tag name already exists: $3" >&2; exit 1; }
    while [ "$1" != --notes-file ]; do shift; done
    cp "$2" "$state/notes"
    mkdir -p "$state/assets"
    echo true > "$state/release"
    [ "$fault" != "release create: late" ] || printf '1\n2\n3\n' > "$state/late"
    ;;
"release upload")
    name=$6
    if [ -e "$state/assets/$name" ]; then
        [ "$7" = --clobber ] || { echo "asset under the same name already exists: [$name]" >&2; exit 1; }
        rm -f "$state/unfinished/$name"
    fi
    case "$fault" in
        "release upload: truncate") head -c 100 "$name" > "$state/assets/$name" ;;
        "release upload: other") tr a b < "$name" > "$state/assets/$name" ;;
        "release upload: cut")
            mkdir -p "$state/unfinished"
            : > "$state/unfinished/$name"
            head -c 10 "$name" > "$state/assets/$name"
            echo "unexpected EOF" >&2
            exit 1
            ;;
        *) cp "$name" "$state/assets/$name" ;;
    esac
    ;;
"release download")
    name=$7
    case "$fault" in
        "release download: other") tr a b < "$state/assets/$name" > "$9/$name" ;;
        "release download: short") head -c 100 "$state/assets/$name" > "$9/$name" ;;
        "release download: nothing") ;;
        *) cp "$state/assets/$name" "$9/$name" || exit 1 ;;
    esac
    [ "$fault" != "release download: intruder" ] || echo mine > "$state/assets/intruder.txt"
    ;;
"release edit")
    [ "$fault" = "release edit: nothing" ] || echo false > "$state/release"
    ;;
*) echo "unknown command $step" >&2; exit 1 ;;
esac
if [ "$fault" = "$step: after" ]; then
    echo "connection reset by peer" >&2
    exit 1
fi
