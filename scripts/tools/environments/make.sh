# Sourced by scripts/setup and scripts/environment: makes or refreshes a virtual environment of the checkout's own.
# Quick when nothing has changed: FOLDER/.surgery-setup records what the environment was made from.

# A caller's own environment must neither leak in nor be written to.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV

say() { printf '%s\n' "setup: $*" >&2; }

# What an environment is: where it is and with which Python. A change means a new one.
identity_of() {
    "$1/bin/python" -c 'import platform, sys; print(platform.python_version(), platform.machine(), sys.argv[1])' "$1" \
        2>/dev/null
}

usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local name
    for name in python3.11 python3.12 python3.10 python3.13 python3 python; do
        if command -v "$name" >/dev/null && usable "$name"; then
            command -v "$name"
            return
        fi
    done
    say "no usable Python found. Install Python 3.11 (3.10 to 3.13 will do) with its venv module," \
        "and put it on PATH."
    return 1
}

# pip and the build backends are talkative when all is well; when it is not, the end of the log has the reason.
pip_install() {
    local folder=$1
    shift
    if ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@" \
        </dev/null >"$folder/setup.log" 2>&1; then
        tail -n 20 -- "$folder/setup.log" >&2
        say "pip could not install the dependencies; $folder/setup.log has the details."
        exit 1
    fi
}

# make_environment FOLDER INSTALL FILE...: calls the function INSTALL with FOLDER when a FILE, or the Python, changed.
make_environment() {
    local folder=$1 install=$2 wanted identity had_identity had_contents python started=$SECONDS
    local stamp=$folder/.surgery-setup lock
    shift 2
    # Two runs at once, such as two test workers, must not make one environment at the same time: the second one waits.
    exec {lock}>"$folder.lock"
    if command -v flock >/dev/null; then
        flock "$lock"
    fi
    wanted=$(cat -- "$@" | sha256sum | cut -d ' ' -f 1)
    identity=$(identity_of "$folder" || true)
    if [[ -n $identity && -f $stamp ]]; then
        { read -r had_identity && read -r had_contents; } <"$stamp" || true
        if [[ ${had_identity-} != "$identity" ]]; then
            identity=
        elif [[ ${had_contents-} == "$wanted" ]]; then
            return 0
        fi
    else
        identity=
    fi

    if [[ -z $identity ]]; then
        python=$(find_python)
        say "making ${folder#"$PWD/"} with $("$python" -V) and installing the locked dependencies (a minute or more) ..."
        rm -rf -- "$folder"
        "$python" -m venv "$folder"
        identity=$(identity_of "$folder")
    else
        say "what ${folder#"$PWD/"} is made from has changed: updating it ..."
    fi
    rm -f -- "$stamp"
    "$install" "$folder"

    # Written last, and in one step: an interrupted set-up leaves no stamp and is done again from the start.
    printf '%s\n%s\n' "$identity" "$wanted" >"$stamp.new"
    mv -- "$stamp.new" "$stamp"
    say "done in $((SECONDS - started)) s."
}
