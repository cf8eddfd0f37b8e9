# shellcheck shell=bash disable=SC2154  # `here` is set by who includes this
# What the scripts of this directory share: messages, free ports, and processes that are known by a file with their id.

# Where jars and the registry are kept: outside the clone, fetched once.
home="${HEPHAESTUS_TEST_KAFKA_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/hephaestus/kafka}"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$@"; exit 1; }

need() {
    command -v "$1" >/dev/null || die "$1 is missing: install $2"
}

# Prints a port nobody listens on, unlike those in its arguments. Below the range that systems take for outgoing
# connections, so that a stopped server finds its port free when it comes back.
free_port() {
    local port tries
    for ((tries = 0; tries < 200; tries++)); do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        case " $* " in *" $port "*) continue ;; esac
        if ! listens "$port"; then
            echo "$port"
            return
        fi
    done
    die "no free port between 20000 and 32000"
}

# Whether someone accepts connections on this port.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Whether the process of this file runs. One that ended and was not yet waited for does not, nor does another that got
# the same id since.
alive() {
    local file="$1" id state words threads
    [ -s "$file" ] || return 1
    id="$(<"$file")"
    kill -0 "$id" 2>/dev/null || return 1
    if [ -r "/proc/$id/stat" ]; then
        state="$(sed 's/.*) \(.\) .*/\1/' "/proc/$id/stat" 2>/dev/null)" || return 1
        # The first thread may have ended while others still hold ports and files.
        threads=("/proc/$id/task/"*)
        if [ "$state" = Z ] && [ "${#threads[@]}" -le 1 ]; then return 1; fi
        # While a process is taken down its words are gone already, and its ports are not.
        words="$(tr '\0' ' ' <"/proc/$id/cmdline" 2>/dev/null)" || return 1
        case "$words" in '' | *"${file%/*}/"*) ;; *) return 1 ;; esac
    fi
}

# Sends a signal to the process of this file and returns once it is gone, after 30 s with a failure.
end() {
    local signal="$1" file="$2" tries
    if alive "$file"; then
        kill "-$signal" "$(<"$file")" 2>/dev/null || true
        for ((tries = 0; tries < 1500; tries++)); do
            if ! alive "$file"; then break; fi
            sleep 0.02
        done
        if alive "$file"; then return 1; fi
    fi
    rm -f "$file"
}

# Starts a command in the background with its output in a file, and its id in another. It outlives this script and the
# terminal's interrupts: who starts a server stops it.
launch() {
    local id_file="$1" output="$2"
    shift 2
    if command -v setsid >/dev/null; then
        set -- setsid "$@"
    fi
    "$@" </dev/null >>"$output" 2>&1 &
    echo $! >"$id_file"
}

# Runs Maven on this directory's project with the goal given; its repository is where Maven keeps it.
maven() {
    need mvn "Maven 3.8 or newer"
    mvn --batch-mode --quiet --file "$here/pom.xml" "$@" >&2
}

# Puts what a Maven goal writes to a directory in its place as a whole, so that nobody sees half of it. A stamp tells
# whether it is of this pom.xml.
fetch_into() {
    local target="$1" goal="$2" stamp part
    stamp="$(cksum <"$here/pom.xml")"
    if [ -f "$target/.fetched" ] && [ "$(<"$target/.fetched")" = "$stamp" ]; then
        return
    fi
    mkdir -p "$home"
    part="$(mktemp -d "$home/.fetch-XXXXXX")"
    say "fetching ${target##*/} into $home"
    maven "$goal" "-DoutputDirectory=$part/new" || die "maven could not fetch: see above"
    echo "$stamp" >"$part/new/.fetched"
    if [ -e "$target" ]; then mv "$target" "$part/old"; fi
    # Another fetch may have been faster: what it put there is the same.
    if [ ! -e "$target" ]; then mv "$part/new" "$target"; fi
    rm -rf "$part"
}
